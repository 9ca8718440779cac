"""What is under deploy/ as far as it can be seen without running it: it parses, and all that it names exists."""

from __future__ import annotations

import configparser
import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

from sentinel import settings
from sentinel.cli.program import COMMANDS

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
UNITS = sorted(DEPLOY.glob("*.service"))
SERVERS = [name for name in COMPOSE["services"] if name.startswith("server-")]


def read(environment):
    """Return the settings that variables come to; raises what `serve` would say."""
    return settings.read({}, environment)


def filled(text):
    def value(found):
        return "https://s.example" if found[1] == "PUBLIC_URL" else "secret"

    return re.sub(r"\$\{(\w+):\?[^}]+\}", value, text)


def unit(path):
    found = configparser.ConfigParser(strict=False, interpolation=None)
    found.optionxform = str
    found.read(path)
    return found


@pytest.mark.parametrize("name", SERVERS)
def test_the_servers_of_the_compose_file_have_settings_that_are_read(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = read({key: filled(value) for key, value in COMPOSE["services"][name]["environment"].items()})
    assert found.database and found.windows.startswith("redis://")
    assert found.public_url == "https://s.example"
    subnet = COMPOSE["networks"]["inside"]["ipam"]["config"][0]["subnet"]
    assert [str(network) for network in found.trusted_proxies] == [subnet]


def test_two_servers_share_a_database_and_windows_and_nothing_else():
    assert len(SERVERS) == 2
    one, other = (COMPOSE["services"][name] for name in SERVERS)
    assert one["environment"] == other["environment"]
    assert one["volumes"] != other["volumes"]


def test_every_volume_network_and_dependency_of_the_compose_file_is_there():
    for service in COMPOSE["services"].values():
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            assert source in COMPOSE["volumes"] or (DEPLOY / source).is_file()
        assert set(service.get("networks", ())) <= set(COMPOSE["networks"])
        assert set(service.get("depends_on", ())) <= set(COMPOSE["services"])
    assert (DEPLOY / COMPOSE["services"]["server-a"]["build"]["context"] / "deploy/Containerfile").is_file()


def test_the_compose_file_says_what_is_not_set():
    """podman-compose 1.0 takes `${NAME:?}` for the value itself, and 1.6 parts a command at its blanks before."""
    text = (DEPLOY / "compose.yaml").read_text()
    assert set(re.findall(r"\$\{(\w+)", text)) == {"POSTGRES_PASSWORD", "VALKEY_PASSWORD", "PUBLIC_URL"}
    assert text.count("${") == len(re.findall(r"\$\{\w+:\?\w+\}", text))


def test_valkey_writes_before_it_answers_and_forgets_nothing():
    command = COMPOSE["services"]["valkey"]["command"]
    assert "--appendonly yes --appendfsync always" in command
    assert "--maxmemory-policy noeviction" in command


def test_the_proxy_knows_every_server_and_holds_no_stream_back():
    text = (DEPLOY / "nginx.conf").read_text()
    assert text.count("{") == text.count("}")
    assert re.findall(r"^\s+server (server-\w+):8787", text, re.MULTILINE) == SERVERS
    assert "proxy_buffering off" in text


def proxied():
    """Return what the proxy's configuration says for its server, and for each location of it."""
    lines = [line.split("#")[0].strip(" ;") for line in (DEPLOY / "nginx.conf").read_text().splitlines()]
    server, locations, inside = [], {}, None
    for line in lines[lines.index("server {") + 1 :]:
        if line.startswith("location "):
            inside = locations.setdefault(line.removeprefix("location ").rstrip(" {"), [])
        elif line == "}":
            inside = None
        elif line:
            (server if inside is None else inside).append(line)
    return server, locations


def test_the_proxy_asks_twice_only_what_may_be_done_twice():
    """A key that was made by a server that then died is not made again by the other; events have ids."""
    _, locations = proxied()
    again = {place for place, said in locations.items() if any("non_idempotent" in line for line in said)}
    assert again == {"= /v1/events"}
    assert all("proxy_pass http://sentinel" in said for said in locations.values())


def test_the_proxy_tells_servers_wherever_it_leads_who_asked_for_which_host():
    """Set once for all: a location that sets one header inherits none."""
    server, locations = proxied()
    headers = [line for line in server if line.startswith("proxy_set_header ")]
    assert {line.split()[1] for line in headers} == {"Connection", "Host", "X-Forwarded-For"}
    assert not [line for said in locations.values() for line in said if line.startswith("proxy_set_header")]
    assert "proxy_http_version 1.1" in server
    assert len(locations) == 3


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_units_run_a_command_there_is_with_settings_there_are(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    service = unit(path)["Service"]
    _, command, *flags = service["ExecStart"].split()
    assert command in COMMANDS
    assert not flags
    given = dict(part.split("=", 1) for part in service["Environment"].replace("%i", "8788").split())
    file = DEPLOY / Path(service["EnvironmentFile"].lstrip("-")).name
    lines = file.read_text().splitlines() if file.exists() else []
    shared = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    (tmp_path / "playbooks").mkdir()
    found = read(shared | given)
    assert found.data == Path(given["SENTINEL_DATA"])
    assert ("@" in path.name) == (found.database is not None)
    assert float(service["TimeoutStopSec"]) > found.grace / 1e6


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_units_wait_for_a_server_that_says_when_it_is_ready_however_long_that_takes(path):
    """A start may bring tables up to date, or fold a day's events: systemd would end it after 90 seconds."""
    service = unit(path)["Service"]
    assert (service["Type"], service["TimeoutStartSec"]) == ("notify", "infinity")


def test_units_are_confined_alike():
    one, several = (dict(unit(DEPLOY / name)["Service"]) for name in ("sentinel.service", "sentinel@.service"))
    for own in ("Environment", "EnvironmentFile", "StateDirectory", "ReadWritePaths"):
        one.pop(own), several.pop(own, None)
    assert one == several


def test_the_server_on_files_may_write_where_the_manual_backs_it_up():
    """Its running server writes the backup, and systemd lets it write to nothing that the unit does not name."""
    service = unit(DEPLOY / "sentinel.service")["Service"]
    manual = (ROOT / "docs" / "operating.md").read_text()
    (folder,) = re.findall(r"^sentinel backup (\S+)$", manual, re.MULTILINE)
    assert service["ProtectSystem"] == "strict"
    assert str(Path(folder).parent) in [one.lstrip("-") for one in service["ReadWritePaths"].split()]


def test_the_image_installs_every_extra_with_the_consoles_scripts_and_runs_a_command_there_is():
    text = (DEPLOY / "Containerfile").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (wanted,) = re.findall(r"'/src\[(.*?)\]'", text)
    assert set(wanted.split(",")) == set(project["project"]["optional-dependencies"]) - {"dev"}
    assert "custom" in project["tool"]["hatch"]["build"]["targets"]["wheel"]["hooks"]  # which builds them, or fails
    assert not re.search("HATCH_BUILD_NO_HOOKS|--editable| -e ", text)
    assert re.search(r'CMD \["(\w+)"\]$', text, re.MULTILINE)[1] in COMMANDS
    assert "USER 10001:10001" in text
    assert "--format docker" in text  # or podman leaves the health check out
    assert "/healthz'" in text and "/readyz" not in text  # it is not unhealthy while the database is away
    variables = dict(re.findall(r"(SENTINEL_\w+)=(\S+)", text))
    assert read(variables).host == "0.0.0.0"


def test_an_image_is_built_without_secrets_and_with_all_that_its_wheel_needs():
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if not line.startswith("#")]

    def sent(path):
        """Return whether Docker sends it: the last line that names it, or a folder above it, decides."""
        folders = [path, *map(str, Path(path).parents)]
        said = [one for one in rules if any(fnmatch(each, one.lstrip("!").removeprefix("**/")) for each in folders)]
        return not said or said[-1].startswith("!")

    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = ["constraints.txt", "hatch_build.py", "pyproject.toml", "frontend/build.sh", *wheel["only-include"]]
    assert [path for path in needed if not (ROOT / path).exists() or not sent(path)] == []
    kept_back = [
        "deploy/.env", "sentinel-data/sentinel.sqlite3", ".git/config", ".venv/bin/python", "var/demo", "sentinel.toml",
        "people.mmdb", "backup/backup.json", "frontend/node_modules/esbuild/package.json",
    ]  # fmt: skip
    assert [path for path in kept_back if sent(path)] == []


def test_what_a_server_keeps_in_the_checkout_is_never_committed():
    assert {"/sentinel-data/", ".env"} <= set((ROOT / ".gitignore").read_text().split())
