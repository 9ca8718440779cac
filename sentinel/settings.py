"""All settings of a server, as one frozen value: flags before SENTINEL_* variables before a TOML file before defaults.

The only reader of the environment. How one value is read is in `readers`; what a setting does is not known here. What
can be changed while the server runs is in the store and is no setting.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

from sentinel.core.duration import DAY, HOUR, MINUTE
from sentinel.core.errors import SentinelError
from sentinel.readers import (
    boolean,
    channels,
    choice,
    duration,
    guard,
    header,
    listed,
    lists,
    network,
    number,
    optional,
    path,
    secret,
    text,
    url,
)

PREFIX = "SENTINEL_"
FILE = "sentinel.toml"
LARGEST = 1 << 20
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Times in microseconds, rates in events; `docs/operating.md` says what each is for."""

    data: Path = Path("sentinel-data")
    host: str = "127.0.0.1"
    port: int = 8787
    public_url: str | None = None
    workers: int = 1
    database: str | None = field(default=None, repr=False)  # these three may hold passwords
    windows: str = field(default="memory", repr=False)
    playbooks: tuple[Path, ...] = ()
    rules: tuple[Path, ...] = ()
    channels: Mapping[str, Mapping[str, Any]] | None = field(default=None, repr=False)
    allow_private_webhooks: bool = False
    seismo_identity: str | None = None
    guard: tuple[int, int] | None = (1000, HOUR)
    lateness: int = 10 * MINUTE
    hits_per_group: int = 1000
    digest: Literal["daily", "weekly"] | None = None
    digest_channel: str = "security"
    geo: tuple[Path, ...] = ()
    network_lists: Mapping[str, tuple[str, ...]] | None = None
    trusted_proxies: tuple[Network, ...] = ()
    forwarded_header: str | None = None
    metrics_key: str | None = field(default=None, repr=False)
    rate: int = 20_000
    browser_rate: int = 600
    retention: int | None = None
    keep_decisions: int = 90 * DAY
    keep_deliveries: int = 30 * DAY
    keep_findings: int | None = None
    keep_audit: int | None = None
    snapshot_every: int = 5 * MINUTE
    grace: int = 10_000_000
    log_format: str = "auto"
    log_level: str = "info"

    @property
    def address(self) -> str:
        """Where people and clients reach the server."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.public_url or f"http://{host}:{self.port}"


class Setting(NamedTuple):
    """How one setting is read, from a text or a TOML value, what its default is called, and what it is for."""

    read: Callable[[Any], Any]
    default: str
    help: str


TABLE: Mapping[str, Setting] = {
    "data": Setting(path, "./sentinel-data", "folder where everything is kept; created if missing"),
    "host": Setting(text, "127.0.0.1", "address to listen on"),
    "port": Setting(number(0, 65_535), "8787", "port to listen on; 0 picks a free one"),
    "public_url": Setting(optional(url), "none", "the server's address as people and clients see it, for links"),
    "workers": Setting(
        number(1, 256),
        "1",
        "processes of this server, always 1; to run more, start servers that share `database` and `windows`",
    ),
    "database": Setting(optional(text), "none", "PostgreSQL URL; without one, everything is stored in files in `data`"),
    "windows": Setting(text, "memory", "where windows are kept: `memory`, or a Redis or Valkey URL"),
    "playbooks": Setting(listed(path), "the shipped ones", "files and folders of playbooks"),
    "rules": Setting(listed(path), "those beside the playbooks", "files and folders of rules and their lists"),
    "channels": Setting(optional(channels), "none", "where notifications and webhooks go: one table for each channel"),
    "allow_private_webhooks": Setting(boolean, "no", "let webhooks and downloads reach private addresses"),
    "seismo_identity": Setting(optional(url), "none", "a service like GitHub's API that knows Seismo's older tokens"),
    "guard": Setting(optional(guard), "1000/1h", "most targets that a playbook without a `guard` of its own acts on"),
    "lateness": Setting(duration("1s", "1d"), "10m", "how late an event may come and still count in full"),
    "hits_per_group": Setting(
        number(1_000, 100_000), "1000", "hits kept for each group; beyond them tallies are approximate"
    ),
    "digest": Setting(
        optional(choice("daily", "weekly")), "none", "`daily` or `weekly`: send a summary of what happened"
    ),
    "digest_channel": Setting(text, "security", "channel that the summary goes to"),
    "geo": Setting(listed(path), "none", "MaxMind-format databases of countries, cities or networks"),
    "network_lists": Setting(optional(lists), "none", "lists of networks by kind: files, or URLs fetched every hour"),
    "trusted_proxies": Setting(listed(network), "none", "networks of proxies that are believed about client addresses"),
    "forwarded_header": Setting(
        optional(header("x-forwarded-for", "forwarded")),
        "none",
        "the header your proxies write, `x-forwarded-for` or `forwarded`, where clients may send the other",
    ),
    "metrics_key": Setting(optional(secret), "none", "a secret that shows all of `/metrics`, and nothing else"),
    "rate": Setting(number(1, 10**9), "20000", "events a second each app may send, ten seconds' worth at once"),
    "browser_rate": Setting(number(1, 10**9), "600", "events a minute each address may send with browser keys"),
    "retention": Setting(optional(duration("1h")), "none", "how long events are kept, unless their app says otherwise"),
    "keep_decisions": Setting(duration("1h"), "90d", "how long decisions stay listed after their end"),
    "keep_deliveries": Setting(
        duration("1d"), "30d", "how long deliveries stay listed after they were made or given up"
    ),
    "keep_findings": Setting(optional(duration("90d")), "none", "how long findings are kept after their last event"),
    "keep_audit": Setting(optional(duration("90d")), "none", "how long entries of the audit are kept"),
    "snapshot_every": Setting(duration("10s", "1d"), "5m", "how often the state of windows is saved"),
    "grace": Setting(duration("1s", "10m"), "10s", "how long a stop waits for requests under way"),
    "log_format": Setting(choice("auto", "json", "console"), "auto", "`json` or `console`; `auto` picks by the output"),
    "log_level": Setting(choice("debug", "info", "warning", "error"), "info", "least severe level that is logged"),
}

ALIASES: Mapping[str, str] = {"state": "windows"}  # other names of settings, in every source

SHARED = tuple(
    f"{scheme}://"
    for scheme in ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel", "redis+cluster", "rediss+cluster")
)

# Variables of the SDK and of the command line's own client, which share the prefix.
FOREIGN = frozenset(
    f"{PREFIX}{name}" for name in ("URL", "KEY", "APP", "ENFORCE", "SNAPSHOT", "PSEUDONYM_KEY", "ALLOW_PLAIN_HTTP")
) | {f"{PREFIX}CA_FILE", f"{PREFIX}CONFIG"}
# What Kubernetes sets in every pod beside a service that is called `sentinel`.
_LINKS = re.compile(r"SENTINEL_(SERVICE_(HOST|PORT\w*)|PORT_\d+_\w+)")


class SettingsError(SentinelError):
    """Settings that cannot be meant; `problems` has one line for each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def read(flags: Mapping[str, str] | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Return the settings of this process, or raise SettingsError with every mistake of every source.

    `flags` holds the texts of the flags that were given, `config` among them: the TOML file, else SENTINEL_CONFIG,
    else `sentinel.toml` where there is one.
    """
    environ = os.environ if environ is None else environ
    flags = flags or {}
    problems: list[str] = []
    wanted = named(flags, environ)
    values = dict(_from_file(Path(wanted or FILE), bool(wanted), problems))
    values |= dict(_from_environment(environ, problems))
    values |= dict(_from_flags(flags, problems))
    settings = Settings(**values)
    problems += _together(settings)
    if problems:
        raise SettingsError(problems)
    return settings


def named(flags: Mapping[str, str], environ: Mapping[str, str] | None = None) -> str | None:
    """Return the file of settings that was named, None where none was."""
    return flags.get("config") or (os.environ if environ is None else environ).get(f"{PREFIX}CONFIG")


def _from_file(file: Path, wanted: bool, problems: list[str]) -> Iterator[tuple[str, Any]]:
    if not wanted and not file.is_file():
        return
    try:
        with file.open("rb") as stream:
            data = stream.read(LARGEST + 1)
        if len(data) > LARGEST:
            problems.append(f"`{file}`: larger than {LARGEST >> 20} MiB, which no file of settings is")
            return
        raw = tomllib.loads(data.decode())
    except OSError as error:
        problems.append(f"`{file}`: cannot be read: {error.strerror or error}")
        return
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        problems.append(f"`{file}`: not TOML: {error}")
        return
    except ValueError:
        problems.append(f"`{ascii(str(file))[1:-1]}`: no file has such a name")
        return
    values: dict[str, Any] = {}
    for name, value in raw.items():
        _take(values, name, value, f"{file}: {name}", problems, str)
    yield from values.items()


def _from_environment(environ: Mapping[str, str], problems: list[str]) -> Iterator[tuple[str, Any]]:
    values: dict[str, Any] = {}
    for variable, value in environ.items():
        if not variable.startswith(PREFIX) or variable in FOREIGN or _LINKS.fullmatch(variable):
            continue
        if variable == f"{PREFIX}PORT" and value.startswith("tcp://"):
            continue
        _take(values, variable.removeprefix(PREFIX).lower(), value, variable, problems, _variable)
    yield from values.items()


def _from_flags(flags: Mapping[str, str], problems: list[str]) -> Iterator[tuple[str, Any]]:
    values: dict[str, Any] = {}
    for name, value in flags.items():
        if name != "config":
            _take(values, name, value, flag(name), problems, flag)
    yield from values.items()


def flag(name: str) -> str:
    """Return the flag of a setting."""
    return f"--{name.replace('_', '-')}"


def _variable(name: str) -> str:
    return PREFIX + name.upper()


def _take(
    values: dict[str, Any], name: str, value: Any, place: str, problems: list[str], called: Callable[[str], str]
) -> None:
    """Read one value of a source, or note what is wrong with it.

    `place` is how its author calls it, `called` says how settings are called in that source.
    """
    name = ALIASES.get(name, name)
    setting = TABLE.get(name)
    if setting is None:
        close = difflib.get_close_matches(name, TABLE, n=1)
        hint = f"did you mean `{called(close[0])}`?" if close else f"there are {_quoted(map(called, TABLE))}"
        problems.append(f"`{place}`: not a setting ({hint})")
        return
    try:
        found = setting.read(value)
        if values.setdefault(name, found) != found:
            other = next(alias for alias, of in ALIASES.items() if of == name)
            raise ValueError(f"`{name}` and `{other}` are two names of one setting and differ here (leave one out)")
    except SentinelError as error:
        problems.append(f"`{place}`: {error}")
    except ValueError as error:
        problems.append(f"`{place}`: {error}")


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _together(settings: Settings) -> Iterator[str]:
    """Say what cannot be meant together."""
    if settings.workers > 1 and settings.windows == "memory":
        yield (
            f"`workers`: {settings.workers} processes cannot share windows kept in memory "
            "(set `windows` to a Redis or Valkey URL, or `workers` to 1)"
        )
    if settings.workers > 1 and settings.database is None:
        yield (
            f"`workers`: {settings.workers} processes cannot share one file store "
            "(set `database` to a PostgreSQL URL, or `workers` to 1)"
        )
    if settings.workers > 1 and settings.windows != "memory" and settings.database is not None:
        yield (
            f"`workers`: one `sentinel serve` is one process (start {settings.workers} of them, "
            "each with a `port` and a `data` of its own)"
        )
    if settings.windows != "memory" and not settings.windows.startswith(SHARED):
        yield "`windows`: neither `memory` nor a Redis or Valkey URL (write `redis://127.0.0.1:6379/0`)"
    if settings.database is not None and not settings.database.startswith(("postgresql://", "postgres://")):
        yield "`database`: not a PostgreSQL URL (write `postgresql://user@host/name`)"


def describe() -> str:
    """Return the table of all settings as Markdown, for docs/operating.md."""
    rows = [
        f"| `{name}` | `{flag(name)}` | `{_variable(name)}` | {setting.default} | {setting.help} |"
        for name, setting in TABLE.items()
    ]
    head = ["| setting | flag | variable | default | what it is |", "| --- | --- | --- | --- | --- |"]
    return "\n".join([*head, *rows])
