"""Bodies are expanded whole or refused: what is cut off or damaged is told as that, and with its place."""

from __future__ import annotations

import gzip
import json
import zlib

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from sentinel.edge.encodings import expand
from sentinel.edge.errors import ApiError


def bare(data: bytes, level: int = -1) -> bytes:
    packer = zlib.compressobj(level, wbits=-15)
    return packer.compress(data) + packer.flush()


def streamed(data: bytes) -> bytes:
    """Return a zstd frame whose head does not say how long it is, as senders make it that do not know yet."""
    packer = zstandard.ZstdCompressor(write_checksum=True).compressobj()
    return packer.compress(data) + packer.flush()


PACKERS = {
    "gzip": [gzip.compress],
    "x-gzip": [gzip.compress],
    "deflate": [zlib.compress, bare, lambda data: bare(data, 0)],
    "zstd": [zstandard.compress, streamed],
}
WAYS = [pytest.param(name, pack, id=f"{name}-{n}") for name, packs in PACKERS.items() for n, pack in enumerate(packs)]
LINES = b"".join(b"%s\n" % json.dumps({"event": "auth", "user": n * 7919 % 1009}).encode() for n in range(300))


def refused(data: bytes, name: str, most: int = 1 << 20) -> ApiError:
    with pytest.raises(ApiError) as caught:
        expand(data, [name], most)
    return caught.value


@pytest.mark.parametrize(("name", "pack"), WAYS)
@given(data=st.binary(max_size=2000))
def test_what_was_compressed_is_what_comes_out(name, pack, data):
    assert expand(pack(data), [name], 2000) == data


@pytest.mark.parametrize(("name", "pack"), WAYS)
def test_wherever_a_body_is_cut_off_it_is_refused_as_that(name, pack):
    """A part of it may be lines of JSON that would have been taken."""
    packed = pack(LINES)
    for end in {8, 500, len(packed) // 2, len(packed) - 5, len(packed) - 1}:
        error = refused(packed[:end], name)
        assert (error.status, error.code) == (400, "malformed")
        assert str(error).startswith(f"the {name} of the body is cut off: it does not end with its last byte, {end:,}")


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_a_damaged_body_is_told_with_the_place_up_to_which_it_could_be_read(name):
    packed = bytearray(PACKERS[name][-1](LINES))
    packed[-3] ^= 1  # of the checksum
    from_byte = (len(packed) - 1) // 512 * 512
    message = f"the {name} of the body is damaged: it cannot be read from byte {from_byte:,} on"
    assert refused(bytes(packed), name).message == message


@pytest.mark.parametrize("name", ["gzip", "zstd"])
@pytest.mark.parametrize("data", [b"x", LINES, b"\x1f", b"\x28\xb5"])
def test_what_was_never_compressed_is_told_as_that(name, data):
    assert refused(data, name).message == f"the body is not {name}"


@pytest.mark.parametrize("name", ["gzip", "zstd"])
def test_several_members_are_one_body_and_what_follows_them_is_refused(name):
    pack = PACKERS[name][0]
    assert expand(pack(b"a" * 700) + pack(b"") + pack(b"b"), [name]) == b"a" * 700 + b"b"
    assert "is cut off" in refused(pack(b"a") + pack(LINES)[:-1], name).message
    assert "is damaged" in refused(pack(b"a") + b"{}{}{}{}{}{}", name).message


def test_frames_that_hold_nothing_are_passed_over():
    skipped = b"\x5a\x2a\x4d\x18\x03\x00\x00\x00abc"
    assert expand(skipped + zstandard.compress(b"[]") + skipped, ["zstd"]) == b"[]"


def test_what_follows_a_deflated_body_is_refused():
    assert refused(zlib.compress(b"[]") + b"[]", "deflate").message == (
        "the deflate of the body goes on behind its end, after byte 10"
    )


@pytest.mark.parametrize(("name", "pack"), WAYS)
def test_at_most_so_many_bytes_come_out(name, pack):
    assert expand(pack(b"a" * 5000), [name], 5000) == b"a" * 5000
    assert refused(pack(b"a" * 5001), name, 5000).code == "too_large"


def test_nothing_is_nothing_in_any_encoding():
    assert [expand(b"", [name]) for name in (*PACKERS, "identity")] == [b""] * 5


@pytest.mark.parametrize(("bits", "taken"), [(23, True), (24, False), (27, False)])
def test_a_frame_that_wants_much_memory_is_refused_however_little_it_holds(bits, taken):
    wanted = zstandard.ZstdCompressionParameters.from_level(1, window_log=bits)
    packer = zstandard.ZstdCompressor(compression_params=wanted).compressobj()
    frame = packer.compress(b"[]") + packer.flush()
    if taken:
        assert expand(frame, ["zstd"]) == b"[]"
        return
    error = refused(frame, "zstd")
    assert (error.code, error.message) == ("malformed", "the zstd of the body wants a window of more than 8 MiB")
