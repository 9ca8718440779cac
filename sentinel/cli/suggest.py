"""`sentinel suggest`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import floor
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from sentinel.cli.client import AppId, Data, Secret, Url
from sentinel.cli.explanation import group
from sentinel.cli.judging import Geo, Lateness, Networks, Shape, enricher, read
from sentinel.cli.loading import loaded
from sentinel.cli.options import As, Channels, Input, Map, Name, Rules, Strict, columns_of, duration_of
from sentinel.cli.past import Files, Since, Stored, one_source
from sentinel.cli.report import columns, number
from sentinel.cli.terminal import many, say, say_json
from sentinel.core.errors import InputError
from sentinel.core.number import digits
from sentinel.engine.playbook import Playbook
from sentinel.service.eventfiles.reading import Format, Options
from sentinel.service.trials.meters import measures
from sentinel.service.trials.suggest import Asked, Suggest

_Shaped = Annotated[Shape, typer.Option("--format", help="`json` prints one threshold a line.")]


def suggest(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders of playbooks.", metavar="PATH")],
    events: Files = None,
    since: Since = None,
    percentile: Annotated[
        float, typer.Option("--percentile", min=0, max=100, help="Percentage of groups to stay below the threshold.")
    ] = 99.9,
    rules: Rules = None,
    channel: Channels = None,
    shape: _Shaped = Shape.table,
    strict: Strict = False,
    lateness: Lateness = "10m",
    input: As = Input.auto,
    map: Map = None,
    event: Name = None,
    geo: Geo = None,
    network_list: Networks = None,
    url: Url = None, key: Secret = None, app: AppId = None, data: Data = None,
) -> None:  # fmt: skip
    """Suggest thresholds, from how high tallies were on past events."""
    one_source(events, since)
    playbooks = _measured(list(loaded(paths, rules, channel).playbooks.values()))
    format: Format = input.value
    options = Options(format, columns_of(map or ()), event)
    source = Stored(since, url, key, app, data) if since else None
    enrich = None if source else enricher(playbooks, geo or (), network_list or ())
    run = Suggest(Asked(playbooks, duration_of("--lateness", lateness), options, strict, enrich))
    read(run, events or (), source)
    _write(run, percentile, shape)


def _write(run: Suggest, percentile: float, shape: Shape) -> None:
    found = run.report(percentile)
    if shape is Shape.json:
        for one in found:
            say_json(msgspec.to_builtins(one))
        return
    say(f"{many(run.account.events, 'event')}, {run.order}")
    for one in found:
        for line in _lines(one):
            say(line)


def _measured(playbooks: Sequence[Playbook]) -> list[Playbook]:
    """Return the playbooks that have thresholds to suggest."""
    found = [one for one in playbooks if measures(one) and one.mode != "off"]
    if not found:
        hint = "a `sequence` has none, and what is off is passed over; `sentinel backtest --against` compares versions"
        raise InputError("there is no playbook with a threshold to suggest", hint)
    return found


def _lines(one: Mapping[str, Any]) -> Iterator[str]:
    """Give the distribution of one metric, and what thresholds would catch."""
    about = ", estimated from a sample" if one["sampled"] else ""
    yield ""
    yield f"{one['playbook']}: {one['metric']}, the highest of each of {many(one['measured'], 'group')}{about}"
    if one["never"]:
        yield f"  of {many(one['never'], 'group')} a wait never ended: they would fire at any"
    if one["measured"] < one["groups"]:
        yield f"  {number(one['groups'] - one['measured'])} more {_lacking(one['metric'])}"
    if not one["measured"]:
        return
    percentiles = {f"p{name}" if name != "100" else "highest": value for name, value in one["percentiles"].items()}
    yield from columns([list(percentiles), [digits(value, ",") for value in percentiles.values()]])
    now, wanted, unit = one["now"], one["suggested"], f" {one['unit']}" if one["unit"] else ""
    sign = ">" if now["strict"] else ">="
    yield f"  now        {sign} {digits(now['threshold'], ',')}{unit}: {many(now['fires'], 'group')} would fire"
    if wanted is None:
        yield f"  suggested  none: at that percentile {_ENDLESS[one['metric']]}, and any threshold is reached"
    else:
        yield from _suggested(one, wanted, sign, unit)
    for high in one["highest"][:3]:
        yield f"    {digits(high['value'], ',')}{unit}  {group(high['group'])}"


def _suggested(one: Mapping[str, Any], wanted: Mapping[str, Any], sign: str, unit: str) -> Iterator[str]:
    threshold, at = digits(wanted["threshold"], ","), f"percentile {digits(wanted['percentile'])}"
    yield f"  suggested  {sign} {threshold}{unit}: {many(wanted['fires'], 'group')} would fire ({at})"
    if (measured := one["measured"]) < wanted["needs"]:
        least = number(wanted["needs"])
        yield f"  of {many(measured, 'group')} that percentile is the highest, be it an attacker's; it takes {least}:"
        most = floor(1000 - 1000 / measured) / 10  # the highest percentile, in tenths, that leaves one of so many out
        yield "  look back for longer" + (f", or ask for percentile {digits(most)} or a lower one" if most else "")


def _lacking(metric: str) -> str:
    """Return what groups lack that were not measured."""
    return _LACKING.get(metric.partition(".")[0], "never met the other metrics")


_ENDLESS = {
    "spike.factor": "nothing was usual before",
    "travel.faster_than": "somebody was at two places at once",
}
_LACKING = {
    "travel": "never came from two places far apart", "absent": "never saw a wait end",
    "spike": "were never there for a whole baseline, or never met the other number",
    "first_seen": "never had a value",
}  # fmt: skip
