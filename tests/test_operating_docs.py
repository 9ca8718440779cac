"""What operators are told is so: every setting, figure, job, command, refusal and address is on its page."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from sentinel import settings
from sentinel.api import paths, program
from sentinel.app import Server
from sentinel.cli.program import COMMANDS, assemble
from sentinel.core.duration import format_duration
from sentinel.core.record import KEY_SCOPES
from sentinel.edge.errors import STATUS
from sentinel.sdk import options
from sentinel.service.figures import FIGURES, Figure
from sentinel.settings import Settings
from tests.api.whole import settings as some_settings

ROOT = Path(__file__).parents[1]
OPERATING = "\n".join(
    (ROOT / "docs" / f"{page}.md").read_text() for page in ("operating", "watching", "several-servers")
)
API = (ROOT / "docs" / "api.md").read_text()
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md")), *ROOT.glob("examples/*/*.md")]
DJANGO = (ROOT / "sentinel" / "sdk" / "django.py").read_text()  # whose settings are those of the application


def rows(text, head):
    """Return the first two cells of a table's rows, found by how its head begins."""
    table = text.partition(head)[2].partition("\n\n")[0]
    return [tuple(cell.strip(" `") for cell in line.split("|")[1:3]) for line in table.splitlines()[2:]]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    from sentinel.app import open_server

    server = open_server(some_settings(tmp_path_factory.mktemp("docs")))
    yield server
    server.store.close()


def test_the_table_of_settings_is_the_codes_own():
    assert settings.describe() in OPERATING


def test_the_example_of_settings_is_read(tmp_path):
    (example,) = re.findall(r"```toml\n(host.*?)```", OPERATING, re.DOTALL)
    file = tmp_path / "sentinel.toml"
    file.write_text(example)
    found = settings.read({"config": str(file)}, {})
    assert set(tomllib.loads(example)) <= set(settings.TABLE)
    assert found.retention == settings.TABLE["retention"].read("90d")
    assert found.network_lists["tor"][0].startswith("https://")


def shown(name: str, figure: Figure) -> str:
    """Return what Prometheus calls a figure."""
    return f"{name}_total" if figure.kind == "counter" else name


def test_every_figure_is_listed_with_what_it_says_under_the_name_it_is_shown_by():
    for name, figure in FIGURES.items():
        labels = ", ".join(f"`{label}`" for label in figure.labels) or "–"
        assert f"| `{shown(name, figure)}` | {figure.kind} | {labels} | {figure.help} |" in OPERATING


def test_every_figure_that_a_page_names_is_shown_under_that_name():
    pages = [*(ROOT / "docs").glob("*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md"]
    told = {name for page in pages for name in re.findall(r"\bsentinel_[a-z_]+", page.read_text())}
    assert told <= {shown(name, figure) for name, figure in FIGURES.items()}


def test_every_job_is_listed_with_how_often_it_runs(server: Server):
    jobs = {job.id: job.trigger.interval.total_seconds() for job in server.jobs._scheduler.get_jobs()}
    listed = dict(rows(OPERATING, "| job |"))
    once = sorted(f"`{job.args[0].name}`" for job in server.jobs._scheduler.get_jobs() if job.args[0].shared)
    assert f"the one that holds the lease runs {', '.join(once[:-1])} and {once[-1]};" in " ".join(OPERATING.split())
    assert {name: every.replace("min", "m").replace(" ", "") for name, every in listed.items()} == {
        name: f"{every}s" if every < 1 else format_duration(int(every * 1_000_000)) for name, every in jobs.items()
    }


def test_every_scope_is_told():
    assert [name for name, _ in rows(OPERATING, "| scope |")] == list(KEY_SCOPES)


def test_every_refusal_is_told_with_its_status():
    told = [(code, int(status)) for status, code in rows(API, "| status |")]
    assert sorted(told) == sorted([*STATUS.items(), ("too_large", 431)])


def test_every_operation_has_its_line(server: Server):
    described = server.front.rest.openapi()["paths"]
    operations = {f"{method.upper()} {path}" for path, methods in described.items() for method in methods}
    assert {one for one in operations if f"`{one}" not in API} == set()


def test_every_parameter_and_every_field_that_is_taken_is_named(server: Server):
    described = server.front.rest.openapi()
    schemas = described["components"]["schemas"]
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            fields = schemas[body["$ref"].rpartition("/")[2]]["properties"] if "$ref" in body else {}
            taken = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"} | set(fields)
            assert {name for name in taken if not re.search(rf"`[^`]*\b{name}\b[^`]*`", API)} == set(), (method, path)


def test_every_address_that_is_told_is_there(server: Server):
    described = server.front.rest.openapi()["paths"]
    operations = {f"{method.upper()} {path}" for path, methods in described.items() for method in methods}
    told = {one.partition("?")[0] for one in re.findall(r"`((?:GET|POST|PUT|PATCH|DELETE) /[^` ]*)", API + OPERATING)}
    assert told <= operations
    asked = set(re.findall(r"https://sentinel\.example(/v1/[\w/.]+)", "".join(page.read_text() for page in PAGES)))
    assert len(asked) >= 6
    assert asked <= set(described)


def test_every_variable_that_a_page_names_is_one_that_is_read():
    servers = {f"SENTINEL_{name.upper()}" for name in (*settings.TABLE, "config", "state", "app")}
    sdks = {*options._VARIABLES.values(), "SENTINEL_ENFORCE", *re.findall(r"SENTINEL_[A-Z]+", DJANGO)}
    for page in (*PAGES, *(file for file in (ROOT / "deploy").iterdir() if file.is_file())):
        assert set(re.findall(r"\bSENTINEL_[A-Z_]+\b", page.read_text())) <= servers | sdks, page.name


def test_the_commands_that_are_told_are_there():
    told = re.findall(r"^sentinel ([a-z]+)(?: ([a-z]+))?", OPERATING, re.MULTILINE)
    assert told
    for command, part in told:
        assert command in COMMANDS
        group = next((one for one in assemble(command).registered_groups if one.name == command), None)
        if group is not None:
            assert part in {one.name for one in group.typer_instance.registered_commands}


def command_lines() -> Iterator[tuple[str, list[str]]]:
    """Give each command line of the pages' blocks for shells: its page, and its words behind `sentinel`."""
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for block in re.findall(r"```(?:sh|console)\n(.*?)```", page.read_text(), re.DOTALL):
            for line in re.split(r"\n|&&", block.replace("\\\n", " ")):
                found = re.match(r"\s*(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?sentinel ([^|&>]*)", line)
                if found:
                    yield page.name, shlex.split(found[1], comments=True)


def test_every_command_line_that_is_told_is_one_that_is_taken():
    """A word, an option or a value that is none raises."""
    root: Any = typer.main.get_command(assemble(None, everything=True))
    lines = list(command_lines())
    assert {page for page, _ in lines} >= {"README.md", "operating.md", "playbooks.md", "clients.md"}
    for _, words in lines:
        command, rest = root.commands[words[0]], words[1:]
        while hasattr(command, "commands"):
            command, rest = command.commands[rest[0]], rest[1:]
        if "--help" not in rest:
            command.make_context(words[0], rest)


def test_numbers_that_are_told_are_the_codes_own():
    from sentinel.api import stream
    from sentinel.edge import batch, door, wire

    assert (wire.LARGEST, batch.MOST, wire.PATIENCE) == (8 << 20, 5000, 30)
    assert (batch.LARGEST_PROPERTIES, door.BURST, stream.HEARTBEAT) == (32 << 10, 10, 10)
    assert Settings().snapshot_every == settings.TABLE["snapshot_every"].read("5m")
    assert set(paths.SCHEMAS) and program.OPENAPI in API
