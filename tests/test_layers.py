"""Imports point one way, as the plan in docs/architecture.md is drawn; rooms that ship without packages import none."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).parents[1]

# The packages a room's file may import beside the standard library and Sentinel itself.
PACKAGES = {
    "sentinel/core": {},
    "sentinel/engine": {"expression": {"simpleeval", "re2"}, "arguments": {"re2"}, "explain": {"simpleeval"}},
    "sentinel/sdk": {
        "django": {"django", "asgiref"},
        "fastapi": {"fastapi", "starlette"},
        "flask": {"flask", "werkzeug"},
    },
}


def imported(source: str) -> Iterator[str]:
    """Yield the top-level name of every absolute import in `source`, at whatever depth it stands."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield node.module.partition(".")[0]


def foreign(file: Path, allowed: dict[str, set[str]]) -> set[str]:
    """Return the packages that `file` imports and may not; `allowed` goes by the first word of the file's name."""
    known = sys.stdlib_module_names | {"sentinel"} | allowed.get(file.stem.partition("_")[0], set())
    return set(imported(file.read_text())) - known


def test_every_import_of_the_package_keeps_the_contracts(monkeypatch):
    monkeypatch.setattr("importlinter.cli._configure_logging", lambda verbose: None)  # it silences all other loggers
    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), cache_dir=None) == 0


@pytest.mark.parametrize("room", PACKAGES)
def test_a_room_without_packages_imports_none(room):
    found = {file.name: foreign(file, PACKAGES[room]) for file in (ROOT / room).rglob("*.py")}
    assert {name: packages for name, packages in found.items() if packages} == {}


def test_an_import_hidden_in_a_function_is_seen_and_a_relative_one_is_no_package(tmp_path):
    file = tmp_path / "window.py"
    file.write_text(
        "from . import yaml\ndef f():\n    import os, redis.client\n    from pydantic.main import BaseModel\n"
    )
    assert foreign(file, {}) == {"redis", "pydantic"}


def test_a_package_is_allowed_in_its_own_file_only(tmp_path):
    for name in ("expression.py", "expression_code.py", "rule.py"):
        (tmp_path / name).write_text("import simpleeval\n")
    allowed = PACKAGES["sentinel/engine"]
    refused = [file.name for file in sorted(tmp_path.iterdir()) if foreign(file, allowed)]
    assert refused == ["rule.py"]


@pytest.mark.parametrize(
    ("file", "line", "kept"),
    [
        ("core/event.py", "import sentinel.engine.rule", False),
        ("engine/rule.py", "import sentinel.sdk.client", False),
        ("engine/rule.py", "import sentinel.store.commit", False),
        ("loader/reader.py", "import sentinel.windows.memory", False),
        ("store/postgres/control.py", "import sentinel.store.embedded.duck", False),
        ("store/embedded/duck.py", "import sentinel.store.postgres.control", False),
        ("store/moving.py", "import sentinel.store.embedded.duck, sentinel.store.postgres.control", True),
        ("service/pipeline.py", "import sentinel.store.commit", False),
        ("service/pipeline.py", "import sentinel.loader.reader", True),
        ("api/ingest.py", "import sentinel.console.pages", False),
        ("api/ingest.py", "import sentinel.service.pipeline", True),
        ("sdk/client.py", "import yaml", False),
        ("sdk/client.py", "import sentinel.core.event", True),
        ("sdk/asgi.py", "import starlette.types", False),
        ("sdk/flask.py", "import flask", True),
        ("engine/rule.py", "import simpleeval", True),
        ("engine/rule.py", "import structlog", False),
    ],
)
def test_the_contracts_notice_an_import_that_points_the_wrong_way(tmp_path, file, line, kept):
    house(tmp_path)
    (tmp_path / "sentinel" / file).write_text(line + "\n")
    lint = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(cache_dir=None))",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ("0 broken" in lint.stdout, "BROKEN" in lint.stdout) == (kept, not kept), lint.stdout + lint.stderr


def test_what_both_stores_share_knows_neither():
    shared = [file for file in (ROOT / "sentinel/store").glob("*.py") if file.stem != "moving"]
    assert [file.name for file in shared if re.search(r"sentinel\.store\.(embedded|postgres)", file.read_text())] == []


def house(root: Path) -> None:
    """Build an empty package with one file in each room, under the real contracts."""
    shutil.copy(ROOT / "pyproject.toml", root)
    files = """cli/program.py api/ingest.py console/pages.py service/pipeline.py store/commit.py store/embedded/duck.py
        store/postgres/control.py windows/memory.py loader/reader.py content/shipped.py engine/rule.py
        sdk/client.py core/event.py"""
    for name in files.split():
        file = root / "sentinel" / name
        file.parent.mkdir(parents=True)
        file.touch()
        (file.parent / "__init__.py").touch()
    (root / "sentinel" / "__init__.py").touch()


# --- the plan of the house ---

DOORS = {"▼": (1, 0), "▲": (-1, 0), "▶": (0, 1), "◀": (0, -1)}
WALLS = {*"│─┌┐└┘├┤┬┴┼", *DOORS}
BESIDE = ((1, 0), (-1, 0), (0, 1), (0, -1))


def section() -> str:
    """Return the part of the page that draws the rooms and lists them."""
    return (ROOT / "docs" / "architecture.md").read_text().partition("## The rooms")[2].partition("\n## ")[0]


def drawn(plan: str) -> tuple[set[str], set[tuple[str, str]]]:
    """Return the rooms of a plan and its doors, each as (the room it leads from, the room it leads into)."""
    cells = {(y, x): char for y, line in enumerate(plan.splitlines()) for x, char in enumerate(line)}
    room: dict[tuple[int, int], str] = {}
    for place, char in cells.items():
        if char not in WALLS and place not in room:
            inside = spread(cells, place)
            words = "".join(cells[one] for one in sorted(inside)).split()
            assert len(words) == 1, f"one room, called {words}"
            room |= dict.fromkeys(inside, words[0])
    doors = {place: DOORS[char] for place, char in cells.items() if char in DOORS}
    return set(room.values()), {(room[y - v, x - h], room[y + v, x + h]) for (y, x), (v, h) in doors.items()}


def spread(cells: dict[tuple[int, int], str], start: tuple[int, int]) -> set[tuple[int, int]]:
    """Return the cells that are reached from one without passing a wall."""
    found, left = {start}, [start]
    while left:
        y, x = left.pop()
        near = {(y + v, x + h) for v, h in BESIDE} - found
        fresh = {one for one in near if cells.get(one, "│") not in WALLS}
        found |= fresh
        left += fresh
    return found


def reached(doors: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Return every pair of rooms of which one is reached from the other through doors."""
    ways = set(doors)
    while further := {(a, d) for a, b in ways for c, d in doors if b == c} - ways:
        ways |= further
    return ways


def rooms() -> dict[str, list[Path]]:
    """Return the files of each room: of each package and each file of `sentinel`."""
    found: dict[str, list[Path]] = {}
    for file in (ROOT / "sentinel").rglob("*.py"):
        first = file.relative_to(ROOT / "sentinel").parts[0].removesuffix(".py")
        found.setdefault(first, []).append(file)
    del found["__init__"]  # which holds the version
    return found


def taken(source: str) -> set[str]:
    """Return what a source imports from `sentinel`: the names that follow it, be they rooms or not."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        names = [alias.name for alias in node.names] if isinstance(node, (ast.Import, ast.ImportFrom)) else []
        if isinstance(node, ast.ImportFrom):
            assert not node.level, "imports name their room in full"
            names = [f"{node.module}.{name}" for name in names]
        found |= {name.split(".")[1] for name in names if name.startswith("sentinel.")}
    return found


@cache
def walked() -> set[tuple[str, str]]:
    """Return every pair of rooms of which one imports from the other."""
    known = rooms()
    ways = {(room, to) for room, files in known.items() for file in files for to in taken(file.read_text())}
    return {(room, to) for room, to in ways if to in known and to != room}


@pytest.fixture(scope="module")
def plan():
    return drawn(section().split("```")[1].strip("\n"))


@pytest.fixture(scope="module")
def table():
    lines = [line.strip("|").split("|") for line in section().splitlines() if line.startswith("| `")]
    return [(re.findall(r"`(\w+)`", line[0]), set(re.findall(r"`(\w+)`", line[-1]))) for line in lines]


def test_every_room_stands_in_the_plan_and_once_in_the_table(plan, table):
    assert plan[0] == set(rooms())
    assert sorted(room for names, _ in table for room in names) == sorted(rooms())


def test_every_import_finds_its_way_through_the_doors_of_the_plan(plan):
    assert walked() - reached(plan[1]) == set()


def test_every_door_of_the_plan_is_used_and_none_leads_back(plan):
    assert plan[1] - walked() == set()
    assert not any(room == to for room, to in reached(plan[1]))


def test_the_table_names_the_packages_that_its_rooms_import(table):
    known = sys.stdlib_module_names | {"sentinel"}
    for names, packages in table:
        sources = [file.read_text() for room in names for file in rooms()[room]]
        assert {package for source in sources for package in imported(source)} - known == packages, names


def test_a_plan_is_read_by_its_walls_and_doors():
    text = """
┌─────┬─────┐
│ one │ two │
│     ▶     │
├──▼──┴─────┤
│ three     │
└───────────┘"""
    assert drawn(text) == ({"one", "two", "three"}, {("one", "two"), ("one", "three")})


@pytest.mark.parametrize(
    ("source", "rooms"),
    [
        ("from sentinel.store.tables import Row", {"store"}),
        ("from sentinel import __version__, local", {"__version__", "local"}),
        ("def f():\n    import sentinel.sdk.client, yaml", {"sdk"}),
        ("from sentinels.store import x", set()),
    ],
)
def test_whatever_way_a_room_is_imported_it_is_seen(source, rooms):
    assert taken(source) == rooms
