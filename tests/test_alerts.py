"""The alerts and the dashboard under deploy/ ask for figures and labels there are, and the manual tells the same."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from sentinel.api.metrics import text
from sentinel.edge.errors import STATUS
from sentinel.service.figures import FIGURES, Histogram, Sample
from tests.api.whole import whole as run_whole

ROOT = Path(__file__).parents[1]
RULES = [
    rule
    for group in yaml.safe_load((ROOT / "deploy" / "prometheus-rules.yml").read_text())["groups"]
    for rule in group["rules"]
]
ALERTS = {rule["alert"]: rule["expr"] for rule in RULES}
BOARD = json.loads((ROOT / "deploy" / "grafana-dashboard.json").read_text())
TARGETS = [target for panel in BOARD["panels"] for target in panel.get("targets", ())]
ASKED = [
    *ALERTS.values(),
    *(target["expr"] for target in TARGETS),
    *(one["query"] for one in BOARD["templating"]["list"]),
]
WHILE_IT_HOLDS = {"sentinel_guard_holds"}  # there is no sample of what does not hold
ADDED = {"le", "job", "instance"}  # by Prometheus, and by histograms


def shown(samples):
    """Return the labels of every sample that Prometheus would read, by name."""
    families = text_string_to_metric_families(text(samples).decode())
    return {sample.name: set(sample.labels) for family in families for sample in family.samples}


def one_of_each():
    """Give a sample of every figure there can be."""
    for name, figure in FIGURES.items():
        value = Histogram((0,) * 12, 1, 1.0) if figure.kind == "histogram" else 1
        yield Sample(name, tuple("x" for _ in figure.labels), value)


THERE = shown(one_of_each())


def names(asked):
    return set(re.findall(r"\bsentinel_\w+", asked))


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    """Return what a server shows to which nothing has happened yet."""
    with run_whole(tmp_path_factory.mktemp("fresh")) as whole:
        text = whole.local.get("/metrics").body.decode()
    return {sample.name: sample for family in text_string_to_metric_families(text) for sample in family.samples}


@pytest.mark.parametrize("asked", ASKED)
def test_every_figure_that_is_asked_for_is_shown_with_the_labels_it_is_told_apart_by(asked):
    labels = set(re.findall(r"[{,]\s*(\w+)\s*(?:=~|!=|!~|=)", asked))
    labels |= {one.strip() for group in re.findall(r"\bby \(([^)]*)\)", asked) for one in group.split(",")}
    labels |= set(re.findall(r"label_values\(\w+, (\w+)\)", asked))
    assert names(asked) <= set(THERE)
    if names(asked):
        assert labels - ADDED <= set.union(*(THERE[name] for name in names(asked)))


def left(asked):
    """Return the labels that the samples of an expression have left."""
    summed = re.findall(r"\bby \(([^)]*)\)", asked)
    if summed:
        return {one.strip() for one in summed[0].split(",")}
    return set() if "sum(" in asked else set().union(*(THERE[name] for name in names(asked))) | {"instance"}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_names_labels_that_are_left_to_it(rule):
    used = {one for text in rule["annotations"].values() for one in re.findall(r"\$labels\.(\w+)", text)}
    assert used <= left(rule["expr"])


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target["expr"][:40])
def test_a_legend_names_labels_that_are_left_to_it(target):
    assert set(re.findall(r"\{\{(\w+)\}\}", target.get("legendFormat", ""))) <= left(target["expr"])


@pytest.mark.parametrize("alert", [one for one, asked in ALERTS.items() if re.search(r"increase\(.*> 0", asked)])
def test_an_alert_on_anything_that_is_counted_sees_the_first_time(alert):
    """A counter is not there before: what begins at one has never increased."""
    asked = re.sub(r"\s+", " ", re.sub(r"\{[^}]*\}", "", ALERTS[alert]))
    (name,) = names(asked)
    assert f"({name} unless {name} offset 15m) > 0" in asked and f"increase({name}[15m])" in asked


@pytest.mark.parametrize("alert", ALERTS)
def test_an_alert_on_a_gauge_has_a_value_to_look_at_from_the_start(fresh, alert):
    """Else it never fires: no sample is neither more nor less than any bound."""
    gauges = {name for name in names(ALERTS[alert]) if name in FIGURES and FIGURES[name].kind == "gauge"}
    assert gauges - WHILE_IT_HOLDS <= set(fresh)


def test_codes_that_alerts_ask_for_are_codes_there_are():
    (codes,) = re.findall(r'code=~"([^"]*)"', ALERTS["SentinelRefusingEvents"])
    assert set(codes.split("|")) <= set(STATUS)
    assert all(STATUS[code] >= 500 for code in codes.split("|"))


def test_a_server_that_was_never_backed_up_is_long_past_the_bound(fresh):
    assert fresh["sentinel_last_backup_seconds"].value == 0


def test_the_manual_tells_the_alerts_of_the_file_and_no_other():
    table = (ROOT / "docs" / "watching.md").read_text().partition("| alert |")[2].partition("\n\n")[0]
    told = re.findall(r"`(Sentinel\w+)`", table)
    assert told == list(ALERTS)
