"""`sentinel suggest`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from sentinel.cli.backtest import As, Input, Lateness, Map, Name, Shape, Shaped, Strict, columns_of, read
from sentinel.cli.client import AppId, Data, Secret, Url
from sentinel.cli.explained import group
from sentinel.cli.loading import loaded
from sentinel.cli.options import Channels, Rules
from sentinel.cli.past import Files, Since, Stored, one_source
from sentinel.cli.report import columns, number
from sentinel.cli.terminal import say, say_json
from sentinel.core.duration import parse_duration
from sentinel.core.errors import InputError
from sentinel.engine.playbook import Playbook
from sentinel.service.files import Format, Options
from sentinel.service.suggest import Asked, Suggest


def suggest(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders of playbooks.", metavar="PATH")],
    events: Files = None,
    since: Since = None,
    percentile: Annotated[
        float, typer.Option("--percentile", min=0, max=100, help="How many percent of the groups stay below.")
    ] = 99.9,
    rules: Rules = None,
    channel: Channels = None,
    shape: Shaped = Shape.table,
    strict: Strict = False,
    lateness: Lateness = "10m",
    input: As = Input.auto,
    map: Map = None,
    event: Name = None,
    url: Url = None, key: Secret = None, app: AppId = None, data: Data = None,
) -> None:  # fmt: skip
    """Suggest thresholds from how high tallies were on past events."""
    one_source(events, since)
    playbooks = _measured(list(loaded(paths, rules, channel).playbooks.values()))
    format: Format = input.value
    options = Options(format, columns_of(map or ()), event)
    run = Suggest(Asked(playbooks, parse_duration(lateness), options, strict))
    read(run, events or (), Stored(since, url, key, app, data) if since else None)
    found = run.report(percentile)
    if shape is Shape.json:
        for one in found:
            say_json(msgspec.to_builtins(one))
        return
    say(f"{number(run.account.events)} events, {run.order}")
    for one in found:
        for line in _lines(one):
            say(line)


def _measured(playbooks: Sequence[Playbook]) -> list[Playbook]:
    """Return the playbooks that have thresholds to suggest."""
    found = [one for one in playbooks if one.when and one.mode != "off"]
    if not found:
        hint = "thresholds are suggested for `when`, of playbooks that are not off"
        raise InputError("there is no playbook with a `when`", hint)
    return found


def _lines(one: Mapping[str, Any]) -> Iterator[str]:
    """Give the distribution of one metric, and what thresholds would catch."""
    about = ", estimated from a sample" if one["sampled"] else ""
    yield ""
    yield f"{one['playbook']}: {one['metric']}, the highest of each of {number(one['measured'])} groups{about}"
    if one["measured"] < one["groups"]:
        yield f"  {number(one['groups'] - one['measured'])} more never met the other metrics"
    if not one["measured"]:
        return
    percentiles = {f"p{name}" if name != "100" else "highest": value for name, value in one["percentiles"].items()}
    yield from columns([list(percentiles), [f"{value:g}" for value in percentiles.values()]])
    now, wanted = one["now"], one["suggested"]
    sign = ">" if now["strict"] else ">="
    yield f"  now        {sign} {now['threshold']:g}: {number(now['fires'])} groups would fire"
    at = f"percentile {wanted['percentile']:g}"
    yield f"  suggested  {sign} {wanted['threshold']:g}: {number(wanted['fires'])} groups would fire ({at})"
    for high in one["highest"][:3]:
        yield f"    {high['value']:g}  {group(high['group'])}"
