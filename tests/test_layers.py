"""Imports point one way, and the rooms that ship without packages import none."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator
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


def test_every_import_of_the_package_keeps_the_contracts():
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
        timeout=60,
    )
    assert ("0 broken" in lint.stdout, "BROKEN" in lint.stdout) == (kept, not kept), lint.stdout + lint.stderr


def house(root: Path) -> None:
    """Build an empty package with one file in each room, under the real contracts."""
    shutil.copy(ROOT / "pyproject.toml", root)
    files = """cli/program.py api/ingest.py console/pages.py service/pipeline.py store/commit.py windows/memory.py
        loader/reader.py content/shipped.py engine/rule.py sdk/client.py core/event.py"""
    for name in files.split():
        file = root / "sentinel" / name
        file.parent.mkdir(parents=True)
        file.touch()
        (file.parent / "__init__.py").touch()
    (root / "sentinel" / "__init__.py").touch()
