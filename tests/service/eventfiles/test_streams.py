"""The bytes of files: unpacked by what they hold, never by their name, and never more of a line than is bounded."""

import gzip
import io
import os
import threading
import zlib
from contextlib import closing

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from sentinel.core.errors import InputError
from sentinel.service.eventfiles import streams
from sentinel.service.eventfiles.streams import BLOCK, LONGEST, Stream

DATA = b"".join(b'{"n": %d}\n' % n for n in range(30_000))
GZIPPED = gzip.compress(DATA, mtime=0)
PACKERS = {
    "plain": bytes,
    "gzip": gzip.compress,
    "gzip in two members": lambda data: gzip.compress(data[:1000]) + gzip.compress(data[1000:]),
    "gzip padded with zeros": lambda data: gzip.compress(data) + bytes(100),
    "zstd": lambda data: zstandard.ZstdCompressor().compress(data),
    "zstd in two frames": lambda data: zstandard.compress(data[:1000]) + zstandard.compress(data[1000:]),
    "zstd of unknown length": lambda data: zstandard.ZstdCompressor(write_content_size=False).compress(data),
}


def read(path):
    with closing(Stream(str(path))) as stream:
        return b"".join(stream.blocks())


def lines(path):
    """Return the chunks of a file and the numbers of the lines left out."""
    overlong = []
    with closing(Stream(str(path))) as stream:
        return list(stream.lines(overlong.append)), overlong


@pytest.mark.parametrize("packer", PACKERS)
def test_what_was_packed_is_unpacked_whatever_the_name(tmp_path, packer):
    file = tmp_path / "events.txt"
    file.write_bytes(PACKERS[packer](DATA))
    assert read(file) == DATA


@pytest.mark.parametrize("packer", PACKERS)
def test_a_file_can_be_read_again_from_its_start(tmp_path, packer):
    file = tmp_path / "events.gz"
    file.write_bytes(PACKERS[packer](DATA))
    with closing(Stream(str(file))) as stream:
        next(stream.blocks())
        assert b"".join(stream.blocks()) == b"".join(stream.blocks()) == DATA


def test_how_far_reading_has_come_is_known_in_bytes_on_disk(tmp_path):
    file = tmp_path / "events.gz"
    file.write_bytes(gzip.compress(DATA))
    with closing(Stream(str(file))) as stream:
        blocks = stream.blocks()
        next(blocks)
        assert 0 < stream.position <= stream.size == file.stat().st_size
        for _ in blocks:
            pass
        assert stream.position == stream.size


@pytest.mark.parametrize(
    ("packed", "message"),
    [
        (GZIPPED[:-1], "ends in the middle of its packed data (was it copied whole?)"),
        (GZIPPED[:100], "ends in the middle of its packed data"),
        (GZIPPED[:2], "ends in the middle of its packed data"),
        (GZIPPED[:500] + bytes(50) + GZIPPED[550:], "cannot be read: "),
        (GZIPPED[:-8] + bytes(8), "cannot be read: CRC check failed"),
        (GZIPPED + b"junk", "cannot be read: Not a gzipped file"),
        (zstandard.compress(DATA)[:-1], "ends in the middle of its packed data"),
        (zstandard.compress(DATA)[:100], "ends in the middle of its packed data"),
        (zstandard.compress(DATA)[:4], "ends in the middle of its packed data"),
        (zstandard.compress(DATA) + b"junk", "cannot be read: "),
        (b"BZh91AY&SY", "is packed with bzip2"),
        (b"\xfd7zXZ\0\0", "is packed with xz"),
        (b"PK\x03\x04....", "is a zip archive"),
        (b"PAR1....", "is Parquet (export it as NDJSON or CSV)"),
        ('{"event": "x"}'.encode("utf-16"), "is UTF-16 (save it as UTF-8)"),
        (bytes(10), "is binary (a file of events is text: NDJSON or CSV)"),
        (gzip.compress(bytes(10), mtime=0), "is binary"),
    ],
)
def test_a_damaged_or_foreign_file_gets_one_clear_message(tmp_path, packed, message):
    file = tmp_path / "events"
    file.write_bytes(packed)
    with pytest.raises(InputError) as caught:
        read(file)
    assert str(caught.value).startswith(f"`{file}` {message}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("packer", "pieces", "size"),
    [(zstandard.ZstdCompressor().compressobj, 32, 25_000), (lambda: zlib.compressobj(wbits=31), 10, 200_000)],
)
def test_a_small_file_that_unpacks_to_very_much_is_given_in_bounded_blocks(tmp_path, packer, pieces, size):
    """Half a gigabyte of one letter in 16 kB of zstd, a third of that in 160 kB of gzip: nobody holds it at once."""
    file, packer = tmp_path / "bomb", packer()
    file.write_bytes(b"".join(packer.compress(b"x" * (1 << 24)) for _ in range(pieces)) + packer.flush())
    assert file.stat().st_size < size
    with closing(Stream(str(file))) as stream:
        assert max(map(len, stream.blocks())) <= 128 << 20


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "there is no file `{}`"),
        (lambda path: path.mkdir(), "`{}` is a folder (name the files in it)"),
    ],
)
def test_what_is_no_file_is_refused(tmp_path, make, message):
    path = tmp_path / "events"
    make(path)
    with pytest.raises(InputError) as caught:
        Stream(str(path))
    assert str(caught.value) == message.format(path)


def test_a_file_that_may_not_be_read_is_refused(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(streams.Path, "open", refuse)
    with pytest.raises(InputError, match="cannot be read: Permission denied"):
        Stream(str(tmp_path / "events"))


def test_a_pipe_is_read_to_its_end_and_can_be_read_again(monkeypatch):
    outlet, inlet = os.pipe()
    writer = threading.Thread(target=lambda: [os.write(inlet, gzip.compress(DATA)), os.close(inlet)])
    writer.start()
    with os.fdopen(outlet, "rb") as pipe:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(pipe))
        with closing(Stream("-")) as stream:
            assert stream.name == "standard input"
            assert b"".join(stream.blocks()) == b"".join(stream.blocks()) == DATA
    writer.join()


def test_a_file_without_an_end_is_refused_at_once():
    with pytest.raises(InputError, match="`/dev/zero` is binary"):
        read("/dev/zero")


@pytest.mark.parametrize(
    ("broken", "error"),
    [
        ("shutil.copyfileobj", OSError(28, "No space left on device")),
        ("tempfile.TemporaryFile", FileNotFoundError(2, "No usable temporary directory found")),
    ],
    ids=["full", "no folder"],
)
def test_a_pipe_that_cannot_be_kept_on_the_disk_gets_one_clear_message(monkeypatch, broken, error):
    def refuse(*_, **__):
        raise error

    outlet, inlet = os.pipe()
    os.close(inlet)
    monkeypatch.setattr(broken, refuse)
    with os.fdopen(outlet, "rb") as pipe:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(pipe))
        with pytest.raises(InputError, match=f"could not be kept on disk: {error.strerror}"):
            Stream("-")


def test_standard_input_stays_open(monkeypatch, tmp_path):
    file = tmp_path / "events"
    file.write_bytes(DATA)
    with file.open("rb") as opened:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(opened))
        Stream("-").close()
        assert not opened.closed


def test_an_empty_file_has_no_lines(tmp_path):
    (tmp_path / "events").touch()
    assert lines(tmp_path / "events") == ([], [])


def test_lines_come_whole_and_with_their_numbers(tmp_path):
    file = tmp_path / "events"
    file.write_bytes(DATA)
    chunks, _ = lines(file)
    assert len(chunks) > 1
    number = 1
    for first, count, text in chunks:
        assert (first, text[-1:]) == (number, b"\n")
        assert count == text.count(b"\n")
        number += count


def test_a_line_without_an_end_is_a_line(tmp_path):
    file = tmp_path / "events"
    file.write_bytes(b"a\nb")
    assert lines(file) == ([(1, 1, b"a\n"), (2, 1, b"b")], [])


@pytest.mark.parametrize("ended", [True, False])
@pytest.mark.parametrize("size", [LONGEST - 1, LONGEST, LONGEST + 1, LONGEST + BLOCK, 3 * LONGEST])
def test_a_line_over_the_bound_is_left_out_and_told(tmp_path, size, ended):
    """The bound is on the bytes before the line's end."""
    file = tmp_path / "events"
    line = b"x" * (size - 1) + b"\n" if ended else b"x" * size
    file.write_bytes(b"first\n" + line + (b"last\n" if ended else b""))
    chunks, overlong = lines(file)
    kept = b"".join(chunk.text for chunk in chunks)
    assert overlong == ([2] if size > LONGEST else [])
    assert (line in kept) == (size <= LONGEST)
    assert kept.startswith(b"first\n")
    assert not ended or (kept.endswith(b"last\n") and chunks[-1].first + chunks[-1].size == 4)


@given(
    st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"")), max_size=30),
    st.integers(1, 20),
    st.integers(0, 20),
)
def test_any_cut_into_blocks_gives_the_same_lines(rows, block, more):
    """Held on a small bound, no smaller than a block: the lines over the bound are left out, and no others."""
    longest = block + more
    data = b"".join(row + b"\n" for row in rows)
    stream = Stream.__new__(Stream)
    stream.blocks = lambda: iter([data[at : at + block] for at in range(0, len(data), block)])  # type: ignore[method-assign]
    overlong: list[int] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "LONGEST", longest)
        chunks = list(stream.lines(overlong.append))
    found = {}
    for first, _, text in chunks:
        found.update(enumerate(text.split(b"\n")[:-1], first))
    assert overlong == [number for number, row in enumerate(rows, 1) if len(row) >= longest]
    assert found == {number: row for number, row in enumerate(rows, 1) if len(row) < longest}
