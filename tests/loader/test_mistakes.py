"""Every kind of mistake, with the full text that an author reads: `mistakes/*.yaml` and the `.txt` beside each.

After a change of the texts, `python tests/loader/test_mistakes.py` writes them anew; read the difference.
"""

from pathlib import Path

import pytest

from sentinel.engine.expression import parse_list
from sentinel.loader.assembly import assemble
from sentinel.loader.mistakes import PlaybookErrors
from sentinel.loader.source import LARGEST

FOLDER = Path(__file__).parent / "mistakes"
LISTS = {"disposable-domains": parse_list("mailinator.com\n")}
CHANNELS = frozenset({"security", "log"})


def mistakes_in(path: Path) -> PlaybookErrors:
    with pytest.raises(PlaybookErrors) as caught:
        assemble({path.name: path.read_bytes()}, LISTS, channels=CHANNELS)
    return caught.value


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_an_author_reads_exactly_this(path: Path) -> None:
    """All mistakes of a file are reported at once, each with place, line, caret and hint, in the order of the file."""
    assert str(mistakes_in(path)) + "\n" == path.with_suffix(".txt").read_text("utf-8")


def test_the_table_is_long() -> None:
    """More than forty different mistakes are held by their full texts."""
    found = [mistake.message for path in FOLDER.glob("*.yaml") for mistake in mistakes_in(path).mistakes]
    assert len(set(found)) >= 100


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_each_mistake_comes_with_a_suggestion(path: Path) -> None:
    assert [one.message for one in mistakes_in(path).mistakes if not one.hint] == []


@pytest.mark.parametrize("data", [b"#" * (LARGEST + 1), b"\xff", b"\0"], ids=["too large", "no text", "no YAML"])
def test_a_rule_may_stand_in_a_file_that_cannot_be_read(data: bytes) -> None:
    """The file is the one mistake, and not that the playbook names a rule that is nowhere."""
    playbook = b"playbook: p\nrule: r\ngroup_by: ip\nwindow: 1m\nwhen: {count: 2}\n"
    with pytest.raises(PlaybookErrors) as caught:
        assemble({"r.yaml": data, "p.yaml": playbook})
    assert [one.place.file for one in caught.value.mistakes] == ["r.yaml"]


if __name__ == "__main__":
    for path in sorted(FOLDER.glob("*.yaml")):
        path.with_suffix(".txt").write_text(str(mistakes_in(path)) + "\n", "utf-8")
