"""What watches a server asks for what it tells: every figure that alerts and panels name exists, as they name it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from sentinel.edge.errors import STATUS
from sentinel.service.figures import FIGURES
from tests.api.whole import whole as run_whole

ROOT = Path(__file__).parents[1]
RULES = yaml.safe_load((ROOT / "deploy" / "prometheus-rules.yml").read_text())
DASHBOARD = json.loads((ROOT / "deploy" / "grafana-dashboard.json").read_text())
OPERATING = (ROOT / "docs" / "operating.md").read_text()
OWN = {"instance", "job", "le"}  # labels that Prometheus adds
SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}


def alerts() -> list[dict]:
    return [rule for group in RULES["groups"] for rule in group["rules"]]


def expressions() -> Iterator[tuple[str, str]]:
    yield from ((rule["alert"], rule["expr"]) for rule in alerts())
    for panel in DASHBOARD["panels"]:
        yield from ((panel["title"], target["expr"]) for target in panel.get("targets", ()))
    yield from (("variable", one["query"]) for one in DASHBOARD["templating"]["list"] if one["type"] == "query")


def told() -> dict[str, tuple[str, ...]]:
    """Return the labels of every name that Prometheus reads."""
    return {name + suffix: figure.labels for name, figure in FIGURES.items() for suffix in SUFFIXES[figure.kind]}


@pytest.mark.parametrize(("place", "expression"), list(expressions()))
def test_every_figure_and_label_that_is_asked_for_exists(place, expression):
    for name, labels in re.findall(r"\b(sentinel_\w+)(?:\{([^}]*)\})?", expression):
        assert name in told(), place
        asked = set(re.findall(r"(\w+)\s*(?:=~|!=|!~|=)", labels))
        assert asked <= set(told()[name]) | OWN, place
    for labels in re.findall(r"by \(([^)]*)\)", expression):
        names = re.findall(r"\bsentinel_\w+", expression)
        assert {label.strip() for label in labels.split(",")} <= OWN.union(*(told()[name] for name in names)), place


def test_a_name_that_is_nobodys_would_be_noticed():
    assert "sentinel_events" not in told()  # a counter is read with its suffix
    assert "sentinel_events_total" in told()


def test_every_figure_is_watched_somewhere():
    asked = " ".join(expression for _, expression in expressions())
    assert [name for name in FIGURES if name not in asked] == []


def test_every_alert_says_what_is_wrong_and_what_to_do_and_is_in_the_manual():
    for rule in alerts():
        assert rule["annotations"]["summary"] and rule["annotations"]["description"]
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert f"`{rule['alert']}`" in OPERATING
    assert len({rule["alert"] for rule in alerts()}) == len(alerts())


def test_labels_in_texts_are_those_of_their_expressions():
    for rule in alerts():
        known = OWN.union(*(told()[name] for name in re.findall(r"\bsentinel_\w+", rule["expr"])))
        for text in rule["annotations"].values():
            assert set(re.findall(r"\$labels\.(\w+)", text)) <= known


def test_no_two_panels_lie_on_each_other():
    seen: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & seen and at["x"] + at["w"] <= 24
        seen |= cells
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])


def test_the_outcomes_and_codes_that_are_asked_for_are_told(tmp_path):
    """A running server tells its own condition, and the words that alerts look for are its own."""
    assert {"unavailable", "internal"} <= set(STATUS)
    with run_whole(tmp_path) as whole:
        text = whole.local.get("/metrics").body.decode()
        for name in (
            "ready",
            "enforcement_on",
            "outbox_dead",
            "disk_free_bytes",
            "memory_bytes",
            "open_files",
            "threads",
        ):
            assert re.search(rf"^sentinel_{name}(\{{.*\}})? [\d.e+]+$", text, re.MULTILINE), name
        assert "sentinel_last_backup_seconds" not in text
        folder = tmp_path / "backup"
        folder.mkdir(mode=0o700)
        assert whole.local.post("/v1/backup", {"folder": str(folder)}).status == 200
        assert "\nsentinel_last_backup_seconds 1" in whole.local.get("/metrics").body.decode()
        mine = whole.using("read").get("/metrics").body.decode()
        assert "sentinel_memory_bytes" not in mine and 'app="two"' not in mine
