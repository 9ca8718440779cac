"""What holds for the project as a whole: what it installs, ships, pins and offers."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from sentinel.console.assets import BUNDLES

ROOT = Path(__file__).parents[1]
FRAMEWORKS = {"django", "fastapi", "flask"}
PINS = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]


def bare(code: str, path: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run `code` in an interpreter that knows the standard library and Sentinel, and no other package."""
    prelude = f"import sys; sys.path.insert(0, {str(path)!r})\n"
    return subprocess.run(
        [sys.executable, "-I", "-S", "-W", "error", "-c", prelude + code], capture_output=True, text=True, timeout=300
    )


def modules(room: str) -> list[str]:
    files = (ROOT / "sentinel" / room).rglob("*.py")
    names = [".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for file in files]
    return sorted(name for name in names if name.rpartition(".")[2] not in FRAMEWORKS)


def listed(extra: str) -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [re.split(r"[\[<>=~! ]", line)[0] for line in project["optional-dependencies"][extra]]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("room", ["core", "sdk"])
def test_the_base_install_imports_without_any_package(room):
    ran = bare("".join(f"import {name}\n" for name in modules(room)))
    assert (ran.returncode, ran.stderr) == (0, "")


def test_the_package_itself_imports_nothing():
    ran = bare("before = set(sys.modules); import sentinel; print(*sorted(set(sys.modules) - before))")
    assert ran.stdout.split() == ["sentinel"]


def test_the_base_install_has_no_dependencies():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["dependencies"] == []


def test_one_version_of_python_is_the_floor_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    floor = project["project"]["requires-python"].removeprefix(">=")
    assert project["tool"]["mypy"]["python_version"] == floor
    assert project["tool"]["ruff"]["target-version"] == "py" + floor.replace(".", "")
    assert f"Python {floor} or newer" in (ROOT / "README.md").read_text()
    assert f"Python ({floor} or newer)" in (ROOT / "docs" / "sdk.md").read_text()
    assert f"Python {floor} or newer" in (ROOT / "Makefile").read_text()


def test_the_command_without_the_server_extra_says_what_to_install():
    ran = bare("sys.argv = ['sentinel', 'version']; from sentinel.cli import main; sys.exit(main())")
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert len(ran.stderr.splitlines()) == 1
    assert "pip install 'sentinel-playbooks[server]'" in ran.stderr


@pytest.mark.parametrize(
    "name", ["pyproject.toml", "constraints.txt", "Makefile", "hatch_build.py", "frontend/build.sh"]
)
def test_what_installs_names_no_address(name):
    assert re.findall(r"\w+://|\bindex-url|\bfind-links|--hash", (ROOT / name).read_text()) == []


def test_every_pin_is_one_exact_version_and_they_are_in_order():
    assert [pin for pin in PINS if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.]*", pin)] == []
    assert sorted(PINS, key=str.upper) == PINS


@pytest.mark.parametrize("extra", ["server", "postgres", "redis", "notify", "sigma", "dev"])
def test_every_package_of_an_extra_is_pinned(extra):
    pinned = {normal(pin.partition("==")[0]) for pin in PINS}
    assert {normal(name) for name in listed(extra)} - pinned == set()


def test_plain_make_lists_every_target():
    makefile = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    assert phony
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    ran = subprocess.run(["make"], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=True)
    assert re.findall(r"^  make (\S+) +\S", ran.stdout, re.MULTILINE) == phony[1].split()
    assert set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE)) == set(phony[1].split())


def test_the_gate_can_be_run():
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def copied(checkout: Path, *folders: str) -> Path:
    """Make a small checkout in which nothing was built."""
    for name in ("pyproject.toml", "hatch_build.py", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, checkout)
    for name in ("sentinel", *folders):
        shutil.copytree(
            ROOT / name, checkout / name, ignore=shutil.ignore_patterns("__pycache__", "built", "node_modules")
        )
    return checkout


def packed(checkout: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Build the wheel of a checkout into its `dist`."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(checkout / "dist")]
    return subprocess.run(
        build, cwd=checkout, env={**os.environ, **environment}, capture_output=True, text=True, timeout=300
    )


def unpacked(checkout: Path, target: Path) -> Path:
    """Unpack the wheel of a checkout as an installer would."""
    (wheel,) = (checkout / "dist").glob("*.whl")
    zipfile.ZipFile(wheel).extractall(target)
    return target


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """Build the wheel of a small checkout, whose scripts were built before, and unpack it."""
    checkout = copied(tmp_path_factory.mktemp("checkout"), "examples")
    ours = ("playbooks/one.yaml", "rules/two.yaml", "rules/lists/three.txt", "tests/four.py", "docs/five.md")
    built = [f"sentinel/console/static/built/{name}" for name in (*BUNDLES, "six.js")]
    for name in (*ours, *built):
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_text("x\n")
    ran = packed(checkout)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return unpacked(checkout, tmp_path_factory.mktemp("installed"))


def test_a_wheel_carries_the_shipped_playbooks_rules_and_lists_and_nothing_else_of_the_checkout(installed):
    content = installed / "sentinel" / "content"
    shipped = {file.relative_to(content).as_posix() for file in content.rglob("*") if file.suffix in {".yaml", ".txt"}}
    assert shipped == {"playbooks/one.yaml", "rules/two.yaml", "rules/lists/three.txt"}
    assert {path.name.partition("-")[0] for path in installed.iterdir()} == {"sentinel", "sentinel_playbooks"}
    assert (installed / "sentinel" / "py.typed").is_file()


def test_an_installed_sentinel_finds_the_content_of_its_own_wheel(installed):
    names = ["playbooks", "rules", "geo", "shop"]
    ran = bare(f"from sentinel.content import folder; print(*map(folder, {names}))", installed)
    assert ran.stdout.split() == [str(installed / "sentinel" / "content" / name) for name in names], ran.stderr


def test_a_wheel_carries_the_console_with_the_scripts_that_were_built(installed):
    console = installed / "sentinel" / "console"
    for folder in ("templates", "static"):
        wanted = {path.name for path in (ROOT / "sentinel" / "console" / folder).glob("*.*")}
        assert {path.name for path in (console / folder).glob("*.*")} == wanted
    assert (console / "static" / "built" / "six.js").is_file()


def test_the_wheel_of_a_fresh_clone_has_every_bundle_of_the_console(tmp_path):
    checkout = copied(tmp_path, "frontend")
    ran = packed(checkout)
    if re.search(r"npm error (code|network) .*(ENOTFOUND|EAI_AGAIN|ECONN|ETIMEDOUT|E5\d\d|network)", ran.stdout):
        pytest.skip("the packages of frontend/package-lock.json cannot be had here")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    built = unpacked(checkout, tmp_path / "installed") / "sentinel" / "console" / "static" / "built"
    sizes = {name: (built / name).stat().st_size for name in BUNDLES}
    assert min(sizes.values()) > 10_000, sizes


def test_a_wheel_whose_scripts_cannot_be_built_is_not_made_and_one_message_says_why_and_what_to_do(tmp_path):
    checkout, machine = copied(tmp_path, "frontend"), tmp_path / "machine"
    machine.mkdir()
    for name in ("node", "npm"):
        (machine / name).write_text("#!/bin/sh\necho no way out of here >&2; exit 7\n")
        (machine / name).chmod(0o755)
    ran = packed(checkout, PATH=f"{machine}:{os.environ['PATH']}")
    assert ran.returncode == 1 and list((checkout / "dist").glob("*")) == []
    said = (ran.stdout + ran.stderr).strip().splitlines()
    assert said[0] == "frontend/build.sh: the console's scripts could not be built (exit code 7)"
    assert said[1] == "no way out of here"
    assert "HATCH_BUILD_NO_HOOKS=true" in said[2] and len(said) == 3


def test_without_node_the_scripts_are_built_by_that_of_a_python_named_from_where_one_stands(tmp_path):
    checkout, node = copied(tmp_path, "frontend"), tmp_path / "wheel" / "bin" / "node"
    python = checkout / ".venv" / "bin" / "python"
    for file, text in ((python, f"echo {node.parents[1]}"), (node, 'echo "$@"')):
        file.parent.mkdir(parents=True)
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "dirname").symlink_to(str(shutil.which("dirname")))
    command = ["frontend/build.sh", ".venv/bin/python"]
    ran = subprocess.run(
        command,
        cwd=checkout,
        env={**os.environ, "PATH": str(bare)},
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    assert [line.split()[:2] for line in ran.stdout.splitlines()] == [
        [f"{node.parents[1]}/lib/node_modules/npm/bin/npm-cli.js", "ci"], ["build.mjs"],
    ]  # fmt: skip


def test_an_editable_installation_builds_no_scripts_and_needs_no_node(tmp_path):
    checkout = copied(tmp_path, "frontend", "examples", "playbooks", "rules")
    build = "import hatchling.build as build; build.build_editable('dist')"
    (checkout / "dist").mkdir()
    nowhere = {**os.environ, "PATH": str(tmp_path / "nowhere")}
    subprocess.run([sys.executable, "-c", build], cwd=checkout, env=nowhere, timeout=300, check=True)
    assert len(list((checkout / "dist").glob("*.whl"))) == 1


def test_what_the_scripts_are_built_from_is_pinned_and_names_no_address():
    package = json.loads((ROOT / "frontend" / "package.json").read_text())
    versions = [version for group in ("dependencies", "devDependencies") for version in package[group].values()]
    assert [version for version in versions if not re.fullmatch(r"\d+\.\d+\.\d+", version)] == []
    assert re.findall(r'"resolved"', (ROOT / "frontend" / "package-lock.json").read_text()) == []
    lock = json.loads((ROOT / "frontend" / "package-lock.json").read_text())["packages"]
    assert all("integrity" in found for path, found in lock.items() if path)


def test_a_wheel_carries_the_whole_shop_of_the_demo(installed):
    shop, ours = installed / "sentinel" / "content" / "shop", ROOT / "examples" / "shop"
    wanted = {file.relative_to(ours) for file in ours.rglob("*") if file.suffix in {".py", ".html", ".md"}}
    assert {file.relative_to(shop) for file in shop.rglob("*") if file.is_file()} == wanted


def test_what_a_shell_sets_for_a_server_of_its_own_no_test_sees():
    environment = {**os.environ, "SENTINEL_PORT": "1", "SENTINEL_TEST_KILLS": "7"}
    code = "import os, tests.conftest; print([one for one in os.environ if 'SENTINEL' in one], os.getenv('TEST_KILLS'))"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert ran.stdout == "[] 7\n", ran.stderr
