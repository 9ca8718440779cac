"""Whatever a file holds, the reader answers with its content or with mistakes that stand in the file."""

import re

from hypothesis import given
from hypothesis import strategies as st

from sentinel.engine.expression import parse_list
from sentinel.loader.assembly import Content, assemble
from sentinel.loader.mistakes import MOST_PER_FILE, PlaybookErrors
from tests.loader.samples import LISTS, PLAYBOOK, RULE
from tests.loader.test_detectors import ALL, text

OFFICE = {name: parse_list(text) for name, text in LISTS.items()}
DETECTORS = [text(detector).replace("playbook: p", f"playbook: p{n}") for n, detector in enumerate(ALL)]
VALID = "---\n".join([RULE, PLAYBOOK, *DETECTORS]).encode()
LINES = VALID.splitlines(keepends=True)
BITS = [b"{", b"}", b"[", b"]", b": ", b"- ", b"\t", b"'", b'"', b"&a ", b"*a", b"!x ", b"|", b">", b"\n---\n", b"#",
        b"\xff", b"\x00", b"\xef\xbb\xbf", b"\r", b"\xc2\x85", b"\xe2\x80\xa8", b"<<: ", b"? ", b"null", b"1e999",
        b"{n}", b"::1", b"\\", b"%", b"@", b"9" * 50, "\N{COLLISION SYMBOL}ü".encode()]  # fmt: skip


def check_answer(data: bytes) -> Content | None:
    """Return what the file says, or hold every mistake to its place."""
    try:
        return assemble({"f.yaml": data}, OFFICE, channels=frozenset({"security"}))
    except PlaybookErrors as errors:
        lines = re.split("\r\n|[\r\n\x85\u2028\u2029]", data.decode("utf-8-sig", "replace"))
        assert errors.mistakes
        assert list(errors.mistakes) == sorted(
            errors.mistakes, key=lambda one: (one.place.line, one.place.column, one.message)
        )
        for mistake in errors.mistakes:
            place = mistake.place
            assert place.file == "f.yaml"
            assert 1 <= place.line <= len(lines)
            assert 1 <= place.column <= len(lines[place.line - 1]) + 1
            assert mistake.source == lines[place.line - 1]
            assert mistake.message and str(mistake).startswith(f"f.yaml:{place.line}:{place.column}: ")
            assert mistake.message[0] != mistake.message[0].upper() or not mistake.message[0].isalpha()
            assert not mistake.message.endswith(".")
        return None


def test_the_unchanged_file_is_right() -> None:
    """Otherwise the mutations below would show nothing."""
    assert check_answer(VALID) is not None


@given(st.integers(0, len(VALID)), st.sampled_from(BITS), st.integers(0, 12))
def test_bits_written_over_a_right_file(at: int, bits: bytes, gone: int) -> None:
    check_answer(VALID[:at] + bits + VALID[at + gone :])


def test_whatever_value_has_a_tag_or_an_alias_the_answer_is_a_mistake() -> None:
    """It is left out of what is read, and nothing is made of the rest."""
    for whole in (RULE, PLAYBOOK):
        for number, found in enumerate(re.finditer(r": ([^\s,{}\[\]>|]+)(?=[,}\n])", whole)):
            bits = "*a" if number % 2 else "!!str x"
            assert check_answer((whole[: found.start(1)] + bits + whole[found.end(1) :]).encode()) is None
    for key in ("actions", "tests", "exceptions"):
        head = re.sub(rf"(?ms)^{key}:.*?(?=^\w|\Z)", "", PLAYBOOK)
        assert check_answer(f"{head}{key}: !!str x\n".encode()) is None


@given(st.lists(st.tuples(st.integers(0, len(LINES) - 1), st.integers(0, len(LINES) - 1)), min_size=1, max_size=6))
def test_lines_that_change_places_or_are_doubled(moves: list[tuple[int, int]]) -> None:
    lines = list(LINES)
    for source, target in moves:
        lines[target : target + source % 2] = [lines[source % len(lines)]]
    check_answer(b"".join(lines))


WORDS = sorted(set(re.findall(rb"[\w.-]+|[{}\[\],:|>-]", VALID)))


@given(st.lists(st.tuples(st.integers(0, 10_000), st.sampled_from(WORDS)), min_size=1, max_size=5))
def test_words_that_stand_where_others_belong(changes: list[tuple[int, bytes]]) -> None:
    parts = re.split(rb"([\w.-]+)", VALID)
    for index, word in changes:
        parts[(index * 2 + 1) % (len(parts) - 1)] = word
    check_answer(b"".join(parts))


@given(st.binary(max_size=300))
def test_bytes_of_any_kind(data: bytes) -> None:
    check_answer(data)


@given(st.lists(st.sampled_from([*BITS, *WORDS, b"\n", b" ", b"  ", b": "]), max_size=40))
def test_pieces_of_the_language_in_any_order(pieces: list[bytes]) -> None:
    check_answer(b"".join(pieces))


def test_a_file_full_of_mistakes_is_answered_with_a_bounded_number() -> None:
    """A megabyte of unknown keys is no reason to work for minutes."""
    data = VALID + b"".join(b"key%d: 1\n" % number for number in range(60_000))
    try:
        assemble({"f.yaml": data}, OFFICE)
    except PlaybookErrors as errors:
        assert len(errors.mistakes) == MOST_PER_FILE + 1
        assert "more mistakes in this file are not shown" in errors.mistakes[-1].message
    else:
        raise AssertionError("no mistake was found")


def test_lists_have_bounds_so_that_no_check_takes_the_square_of_a_file() -> None:
    """Ninety thousand event names would be compared each with each."""
    names = ", ".join(f"a{number}" for number in range(90_000))
    try:
        assemble({"f.yaml": f"rule: r\nevent: [{names}]\n".encode()})
    except PlaybookErrors as errors:
        assert [one.message for one in errors.mistakes] == ["90000 are too many"]
    else:
        raise AssertionError("no mistake was found")
