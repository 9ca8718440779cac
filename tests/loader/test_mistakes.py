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


RIGHT = {
    "two patterns, one within the other": "rule: r\nevent: a*\n---\n{}rule: r\nevent: au*\nwhen: {{count: 5}}",
    "a lockout that is accepted": "{}event: auth\nwhere: not success\nwhen: {{count: 5}}\naccept_lockout: true\n"
    "actions: [redirect_user: {{to: /help, for: 10m, target: user}}]",
    "an exception of one step": "rule: r\nevent: auth\nwhere: not success\n---\n{}sequence:\n  - {{rule: r}}\n"
    "  - {{event: auth, where: success}}\nexceptions: [{{where: success, reason: known}}]",
    "what makes events of what any sender tells": "{}where: request.status == 401\nwhen: {{count: 5}}\n"
    "actions: [emit: {{event: made}}]",
    "what counts only what another makes": "{}event: made\nwhere: properties.playbook == 'other'\nwhen: {{count: 5}}\n"
    "actions: [emit: {{event: made}}]",
    "both values of two": "{}event: auth\nwhen: {{distinct: {{success: 2}}}}",
    "the one value of a group": "{}event: auth\nwhen: {{distinct: {{ip: 1}}, count: 2}}",
    "as many as are kept": "{}sequence: [{{event: a, count: 999}}, {{event: b}}]",
    "two windows": "{}event: a\nspike: {{factor: 2, baseline: 20m, min: 5}}",
    "the least speed": "playbook: p\nevent: auth\ngroup_by: user\ntravel: {{faster_than: 1}}",
}


@pytest.mark.parametrize("text", RIGHT.values(), ids=RIGHT)
def test_what_only_just_is_no_mistake_is_taken(text: str) -> None:
    found = assemble({"p.yaml": text.format("playbook: p\ngroup_by: ip\nwindow: 10m\n").encode()}, channels=CHANNELS)
    assert list(found.playbooks) == ["p"]


def test_whoever_is_only_claimed_is_so_however_many_playbooks_lie_between() -> None:
    text = "playbook: {0}\nevent: {0}\n{2}group_by: user\nwindow: 1h\nwhen: {{count: 2}}\n"
    text += "actions: [emit: {{event: {1}}}]\n"
    chain = [("auth", "b", "where: not success\n"), ("b", "c", ""), ("c", "d", "")]
    found = assemble({"p.yaml": "---\n".join(text.format(*one) for one in chain).encode()})
    assert {id: one.claimed for id, one in found.playbooks.items()} == {"auth": False, "b": True, "c": True}


if __name__ == "__main__":
    for path in sorted(FOLDER.glob("*.yaml")):
        path.with_suffix(".txt").write_text(str(mistakes_in(path)) + "\n", "utf-8")
