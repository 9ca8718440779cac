"""What the documents say of rules and playbooks is so: their examples work, every key and shipped file is named."""

import ast
import json
import re
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from sentinel.cli.program import COMMANDS, run
from sentinel.cli.program import assemble as assemble_commands
from sentinel.compat.adapters import KEY_FORMS
from sentinel.core.event import read
from sentinel.core.finding import SEVERITIES
from sentinel.engine.expression import compile_expression
from sentinel.engine.fields import FIELDS
from sentinel.engine.playbook import MODES
from sentinel.loader.assembly import assemble
from sentinel.loader.content import shipped_rules
from sentinel.loader.detectors import ABSENT, FIRST_SEEN, METRICS, SPIKE, STEP, TRAVEL
from sentinel.loader.schema import ACTIONS, DELIVERY, EVENT, EXPECTATION, PLAYBOOK, REQUEST, RULE
from sentinel.loader.shapes import Record

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
REFERENCE = (DOCS / "playbooks.md").read_text()
TRYING = (DOCS / "trying-playbooks.md").read_text()
SHIPPED = (DOCS / "shipped-playbooks.md").read_text()
GUIDES = [*sorted(DOCS.glob("*.md")), ROOT / "README.md"]
EXAMPLES = [
    pytest.param(block.encode(), id=f"{path.stem}-{block.split()[1]}")
    for path in [*sorted(DOCS.rglob("*.md")), ROOT / "README.md"]
    for block in re.findall(r"^```yaml\n((?:rule|playbook): .*?)^```", path.read_text(), re.DOTALL | re.MULTILINE)
]


def _shipped() -> Iterator[Any]:
    for path in sorted((ROOT / "playbooks").rglob("*.yaml")):
        yield yaml.safe_load(path.read_text()) | {"path": path.relative_to(ROOT)}


def _names(selector: dict[str, Any]) -> str:
    """Return the names of the events that are meant."""
    named = selector.get("event")
    if named is None and "rule" in selector:
        named = yaml.safe_load((ROOT / "rules" / f"{selector['rule']}.yaml").read_text()).get("event")
    return _words(named or "any")


def _words(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)


def _threshold(kind: str, asked: Any) -> str:
    if kind == "count":
        return f"{asked} event{'s' if asked != 1 else ''}"
    if kind == "ratio":
        return f"a share of {asked['gte']} where `{asked['where']}`"
    form = "{} different `{}`" if kind == "distinct" else f"a {kind} of {{}} of `{{}}`"
    return " and ".join(form.format(number, name) for name, number in asked.items())


def _found(playbook: dict[str, Any]) -> str:
    """Return at what a playbook finds something."""
    window = playbook.get("window")
    if "when" in playbook:
        return " and ".join(_threshold(kind, value) for kind, value in playbook["when"].items()) + f" in {window}"
    if "sequence" in playbook:
        return f"{len(playbook['sequence'])} steps in {window}"
    if asked := playbook.get("first_seen"):
        return f"a `{asked['field']}` not seen in {asked['history']}, after {asked['after']} events"
    if asked := playbook.get("travel"):
        return f"faster than {asked['faster_than']} km/h"
    if asked := playbook.get("absent"):
        return f"no {_names(asked).replace(', ', ' or ')} within {asked['within']}"
    asked = playbook["spike"]
    return f"{asked['factor']} times the usual of {asked['baseline']} and at least {asked['min']} in {window}"


def _row(playbook: dict[str, Any]) -> str:
    name = playbook["playbook"]
    events = " → ".join(map(_names, playbook.get("sequence", [playbook])))
    group = _words(playbook["group_by"]) or "the whole app"
    link = f"[{name}](../{playbook['path']})"
    return f"| {link} | {playbook['mode']} | {events} | {group} | {_found(playbook)} |"


def test_the_table_of_shipped_playbooks_is_what_the_files_say() -> None:
    rows = [line for line in SHIPPED.splitlines() if "](../playbooks/" in line]
    assert rows == [_row(playbook) for playbook in _shipped()]


@pytest.mark.parametrize(
    "page", [*sorted(DOCS.rglob("*.md")), ROOT / "README.md"], ids=lambda page: str(page.relative_to(ROOT))
)
def test_every_link_between_pages_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def test_every_link_within_the_reference_leads_to_a_heading() -> None:
    slugs = {
        re.sub(r"[^a-z0-9_ -]", "", line.lstrip("# ").lower()).replace(" ", "-")
        for line in REFERENCE.splitlines()
        if line.startswith("#")
    }
    assert set(re.findall(r"\]\(#([^)]+)\)", REFERENCE)) <= slugs


@pytest.mark.parametrize("record", [RULE, PLAYBOOK], ids=lambda record: record.what)
def test_every_key_has_its_row_with_its_default(record: Record) -> None:
    section = REFERENCE.partition(f"### Keys of {record.what}")[2].partition("\n#")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", section, re.MULTILINE))
    assert set(rows) == set(record.keys)
    for name, key in record.keys.items():
        assert key.required == ("required" in rows[name]), name
        if key.default not in (None, "", ()):
            assert rows[name].endswith(f"; `{str(key.default).lower()}`"), name


def test_every_metric_action_and_test_key_is_explained() -> None:
    parts = TRYING.partition("## Tests")[2]
    for name in METRICS.keys:
        assert f"| `{name}: " in REFERENCE, name
    for name, action in ACTIONS.kinds.items():
        row = next(line for line in REFERENCE.splitlines() if line.startswith("| `") and f"`{name}`" in line)
        assert all(f"`{key}`" in row for key in action.shape.keys), name
    for record in (DELIVERY, EXPECTATION, REQUEST):
        own = set(record.keys) - set(EVENT) - set(ACTIONS.kinds)
        assert all(f"`{key}`" in parts for key in own), record.what


@pytest.mark.parametrize("record", [STEP, FIRST_SEEN, TRAVEL, ABSENT, SPIKE], ids=lambda record: record.what)
def test_every_key_of_every_detector_is_explained(record: Record) -> None:
    section = REFERENCE.partition("## Other detectors")[2].partition("\n## ")[0]
    for name in record.keys:
        assert re.search(rf"`{name}[`:]", section), name


def test_every_field_mode_and_severity_is_named() -> None:
    for name in (*FIELDS, *MODES, *SEVERITIES):
        assert f"`{name}`" in REFERENCE, name


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 8


@pytest.mark.parametrize("block", EXAMPLES)
def test_every_example_is_written_well(block: bytes) -> None:
    found = assemble({"example.yaml": block}, base=shipped_rules(), channels=frozenset({"security", "log"}))
    assert len(found.playbooks) + (not found.playbooks) * len(found.rules) == 1 + block.count(b"\n---\n")


@pytest.mark.parametrize("block", [one for one in EXAMPLES if b"tests:" in one.values[0]])
def test_every_example_passes_the_tests_it_shows(
    block: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "example.yaml").write_bytes(block)
    assert run(["test", str(tmp_path)]) == 0, capsys.readouterr().out


def test_the_tests_shown_for_the_readme_s_first_playbook_pass(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = re.search(r"^```yaml\n(playbook: tiny-payments\n.*?)^```", GUIDES[-1].read_text(), re.DOTALL | re.MULTILINE)
    shown = re.search(r"^```yaml\n(tests:\n.*?)^```", TRYING, re.DOTALL | re.MULTILINE)
    assert first is not None
    assert shown is not None
    (tmp_path / "tiny-payments.yaml").write_text(first[1] + shown[1])
    assert run(["test", str(tmp_path)]) == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    "block", [one for one in EXAMPLES if str(one.id).startswith("playbooks-") and b"playbook: " in one.values[0][:10]]
)
def test_every_playbook_shown_shows_its_tests(block: bytes) -> None:
    assert b"\ntests:\n" in block


def test_every_condition_shown_can_be_meant() -> None:
    (block,) = re.findall(r"^## Conditions\n.*?^```\n(.*?)^```", REFERENCE, re.DOTALL | re.MULTILINE)
    lists = {"disposable-email-domains": frozenset({"mailinator.com"})}
    sources = [compile_expression(line, lists=lists).source for line in block.splitlines()]
    assert len(sources) == 5


def test_the_answers_shown_are_those_given() -> None:
    event = read({"id": "e", "event": "auth", "success": False, "timestamp": 0}, enriched=True)
    section = REFERENCE.partition("no country:\n")[2].partition("\n\n## ")[0]
    shown = dict(re.findall(r"^\| `(.*?)` \| (true|false|unknown)", section, re.MULTILINE))
    words = {True: "true", False: "false", None: "unknown"}
    assert {source: words[compile_expression(source).truth(event)] for source in shown} == shown
    assert len(shown) == 7


def _commands(page: str) -> Iterator[list[str]]:
    """Give the words of every `sentinel …` that a page shows, in a block or in a sentence."""
    for line in re.findall(r"(?:^|[`|&] ?|bin/)sentinel ([a-z][^`\n|&;)#]*)", page, re.MULTILINE):
        yield line.split()


def _meant(words: list[str]) -> tuple[tuple[str, ...], Any]:
    """Return the command that words name, whole: `keys create` of `keys create sdk`."""
    found: Any = get_command(assemble_commands(words[0]))
    path: list[str] = []
    while word := next((word for word in words[len(path) :][:1] if word in getattr(found, "commands", {})), None):
        path.append(word)
        found = found.commands[word]
    return tuple(path), found


def _shell(block: str) -> None:
    told = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, check=False)
    if told.returncode:
        raise ValueError(told.stderr)


READERS: dict[str, Callable[[str], object]] = {
    "json": json.loads,
    "toml": tomllib.loads,
    "yaml": lambda block: list(yaml.safe_load_all(block)),
    "python": lambda block: compile(block, "page", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT),
    "sh": _shell,
}


@pytest.mark.parametrize("page", GUIDES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_is_of_its_language(page: Path) -> None:
    for language, block in re.findall(r"^```([a-z]+)\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE):
        if language != "js":
            READERS[language](block)


def test_the_table_of_foreign_clients_names_the_scopes_and_settings_of_their_keys() -> None:
    table = (DOCS / "clients.md").read_text().partition("| protocol |")[2].partition("\n\n")[0]
    rows = [[re.findall(r"`(\w+)`", cell) for cell in line.split("|")[1:4]] for line in table.splitlines()[2:]]
    told = {name: (tuple(scopes), tuple(settings)) for (name,), scopes, settings in rows}
    assert told == {name: (form.scopes, tuple(form.settings)) for name, form in KEY_FORMS.items()}


def test_every_option_of_a_command_that_is_shown_is_one_it_has() -> None:
    shown = [words for page in GUIDES for words in _commands(page.read_text()) if words[0] in COMMANDS]
    for words in shown:
        has = {name for parameter in _meant(words)[1].params for name in (*parameter.opts, *parameter.secondary_opts)}
        asked = {word.partition("=")[0] for word in words if word.startswith("--")} - {"--help"}
        assert asked <= has, " ".join(words)
    assert len(shown) > 60


def test_every_part_of_a_command_is_shown() -> None:
    shown = {_meant(words)[0] for page in GUIDES for words in _commands(page.read_text()) if words[0] in COMMANDS}
    for name in COMMANDS:
        parts = getattr(get_command(assemble_commands(name)).commands[name], "commands", {})
        assert {(name, part) for part in parts} <= shown, name


def test_every_command_that_a_page_names_exists() -> None:
    pages = [*DOCS.glob("*.md"), ROOT / "README.md"]
    named = set(re.findall(r"`sentinel ([a-z][a-z-]+)[` ]", "".join(page.read_text() for page in pages)))
    assert named - {"serve"} <= set(COMMANDS)
    assert len(named) > 15
