"""`sentinel serve`. Its flags are the settings of `sentinel.settings`."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from sentinel import logs, settings
from sentinel.app import open_server
from sentinel.cli.terminal import say
from sentinel.local import write_private
from sentinel.process import serve as run
from sentinel.service.setup import ONCE, First
from sentinel.settings import ALIASES, TABLE, Settings, SettingsError, flag


def serve(**flags: list[str] | None) -> None:
    """Run the server; the first start creates everything."""
    found = settings.read(_once(flags))
    logs.configure(found.log_format, found.log_level)
    server = open_server(found)
    run(server, lambda address: _welcome(found, address, server.first()))


def _once(flags: Mapping[str, list[str] | None]) -> dict[str, str]:
    """Return the value of each flag that was given; one that is given again would silently stand for the others."""
    given = {name: values for name, values in flags.items() if values}
    if again := [name for name, values in given.items() if len(values) > 1]:
        hint = "write it once; the parts of a list are separated by commas"
        raise SettingsError([f"`{flag(name)}`: given {len(given[name])} times ({hint})" for name in again])
    return {name: value for name, (value,) in given.items()}


def _welcome(found: Settings, address: str, first: First | None) -> None:
    """Say where the server is, and hand over its first secrets: they are in a file until a terminal has shown them."""
    kept = found.data / ONCE
    if first is not None:
        write_private(kept, _secrets(address, first) + "\n")
    say(f"Sentinel listens at {address}")
    if first is not None and sys.stdout.isatty():
        say(_secrets(address, first))
        sys.stdout.flush()
        kept.unlink(missing_ok=True)
    elif kept.exists():
        say(f"the first key and the administrator's link are in {kept}: read it, then delete it")
    sys.stdout.flush()


def _secrets(address: str, first: First) -> str:
    return "\n".join(
        [
            "",
            "This is shown once:",
            "  A server's SDK sends and enforces with this key (app `default`, scope `sdk`):",
            f"    SENTINEL_URL={address}",
            f"    SENTINEL_KEY={first.key}",
            "  The first administrator of the console begins here, once, within an hour:",
            f"    {address}/welcome#{first.link}",
            "",
        ]
    )


def _parameters() -> list[inspect.Parameter]:
    """Return a flag for every setting and every other name of one, and one for the file they may stand in."""
    helps = {"config": ("FILE", "a TOML file of settings; else SENTINEL_CONFIG, else ./sentinel.toml")}
    helps |= {name: ("VALUE", f"{setting.help} [{setting.default}]") for name, setting in TABLE.items()}
    helps |= {alias: ("VALUE", f"another name of `--{name}`") for alias, name in ALIASES.items()}
    return [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_option(name, metavar, text))
        for name, (metavar, text) in helps.items()
    ]


def _option(name: str, metavar: str, text: str) -> Any:
    return Annotated[list[str] | None, typer.Option(flag(name), metavar=metavar, help=text)]


_FLAGS = _parameters()
serve.__signature__ = inspect.Signature(_FLAGS)  # type: ignore[attr-defined]
serve.__annotations__ = {flag.name: flag.annotation for flag in _FLAGS}
