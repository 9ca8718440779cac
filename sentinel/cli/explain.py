"""`sentinel explain`: why an event counts or not, how near a group is to a finding, and what a decision rests on."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from sentinel.cli.client import AppId, Data, Secret, Url, connect, path_of
from sentinel.cli.explanation import decision_lines, event_lines, group_lines
from sentinel.cli.judging import enricher
from sentinel.cli.loading import loaded
from sentinel.cli.options import AsFormat, Channels, Format, Paths, Rules
from sentinel.cli.terminal import say, say_json
from sentinel.core import moment
from sentinel.core.errors import EventError, InputError
from sentinel.core.event import Event, stored
from sentinel.loader.assembly import Content
from sentinel.service.eventfiles.exported import event_of
from sentinel.service.eventfiles.reading import Account, events
from sentinel.service.eventfiles.streams import Stream
from sentinel.service.why import judged, rule

_NOTHING = "give `--event`, `--group` or `--decision`, `--events FILE --id ID`, or an event as JSON"
LINES = {"event": event_lines, "group": group_lines, "decision": decision_lines}


def explain(
    paths: Paths = None,
    rules: Rules = None,
    channel: Channels = None,
    event: Annotated[str | None, typer.Option("--event", help="A stored event's id.", metavar="ID")] = None,
    group: Annotated[
        list[str] | None, typer.Option("--group", help="A group, such as `ip=203.0.113.9`.", metavar="FIELD=VALUE")
    ] = None,
    decision: Annotated[str | None, typer.Option("--decision", help="A decision's id.", metavar="ID")] = None,
    file: Annotated[
        str | None, typer.Option("--events", help="A file that holds the event named by --id.", metavar="FILE")
    ] = None,
    id: Annotated[str | None, typer.Option("--id", help="The id of the event in that file.")] = None,
    geo: Annotated[
        list[Path] | None, typer.Option("--geo", help="A geo database to look up events of a file in.", metavar="FILE")
    ] = None,
    url: Url = None, key: Secret = None, app: AppId = None, data: Data = None, format: AsFormat = Format.text,
) -> None:  # fmt: skip
    """Explain why an event counts or not, how near a group is to a finding, or why a decision was made.

    `--event`, `--group` and `--decision` ask a running server. With `--events FILE --id ID`, or with an event as JSON
    on standard input, the playbooks of PATH are asked, and no server.
    """
    asked = {"event": event, "group": group, "decision": decision, "events": file}
    if sum(bool(value) for value in asked.values()) > 1:
        raise InputError("one question at a time: `--event`, `--group`, `--decision` or `--events`")
    if event or group or decision:
        kind = "event" if event else "group" if group else "decision"
        path = "/v1/explain/group" if group else path_of(f"/v1/explain/{kind}", event or decision or "")
        found = connect(url, key, app, data).ask("GET", path, query=[("group", pair) for pair in group or ()])
    else:
        kind, found = "event", _locally(loaded(paths, rules, channel), _given(file, id), geo or ())
    _write(found, LINES[kind](found), format)


def _write(found: Any, lines: Iterator[str], format: Format) -> None:
    if format is Format.json:
        say_json(found)
        return
    for line in lines:
        say(line)


def _locally(content: Content, event: Event, geo: Iterable[Path]) -> dict[str, Any]:
    """Return what the API would, of an event that no server has."""
    enrich = enricher(content.playbooks.values(), tuple(geo))
    if enrich is not None:
        enrich(event)
    return {
        "event": stored(event) | {"timestamp": moment.to_text(event.at), "user": event.user},
        "rules": [asdict(rule(one, event)) for one in content.rules.values()],
        "playbooks": [asdict(judged(one, event)) for one in content.playbooks.values()],
    }


def _given(file: str | None, id: str | None) -> Event:
    if (file is None) != (id is None):
        raise InputError("`--events` and `--id` belong together", "such as `--events day.ndjson --id e1`")
    return _typed() if file is None or id is None else _found(file, id)


def _typed() -> Event:
    """Return the event on standard input; one without a time happens now."""
    if sys.stdin.isatty():
        raise InputError("nothing to explain", _NOTHING)
    try:
        raw = json.loads(sys.stdin.read())
        timed = {"timestamp": time.time()} | raw if isinstance(raw, dict) else raw
        return event_of(timed, new_id=lambda: "stdin")
    except (ValueError, RecursionError):
        raise InputError("standard input is not one event as JSON", _NOTHING) from None
    except EventError as error:
        raise InputError(str(error)) from None


def _found(file: str, id: str) -> Event:
    with closing(Stream(file)) as stream:
        for batch in events([stream], Account()):
            for event in batch.events:
                if event.id == id:
                    return event
    raise InputError(f"`{file}` holds no event `{id[:64]}`")
