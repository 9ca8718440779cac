"""Figures count from any thread, and Prometheus reads them; an app sees its own."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from sentinel.api.metrics import text
from sentinel.core.errors import StoreBusy
from sentinel.service.figures import BUCKETS, FIGURES, Figures, Sample, Soon
from sentinel.service.intake import Receipt
from sentinel.service.pipeline import MOST_FAULTS, Counts
from tests.api.served import wait_for


def read(samples, app=None):
    """Return every sample of the text by name and labels."""
    found = {}
    for family in text_string_to_metric_families(text(samples, app).decode()):
        for sample in family.samples:
            found[sample.name, tuple(sorted(sample.labels.items()))] = sample.value
    return found


def test_faults_whose_words_a_sender_chooses_take_bounded_memory_and_none_is_lost():
    counts = Counts()
    for number in range(3 * MOST_FAULTS):
        counts.fault("one", {("p", f"KeyError: {number}"): 2, ("q", "KeyError: 'x'"): 1, ("p", "x" * 100_000): 1})
    assert len(counts.errors) <= MOST_FAULTS + 2  # the others of each playbook
    assert sum(counts.errors.values()) == 12 * MOST_FAULTS
    assert counts.errors["one", "q", "KeyError: 'x'"] == 3 * MOST_FAULTS
    assert max(len(said) for _, _, said in counts.errors) <= 200


def test_counts_add_up_from_many_threads():
    figures = Figures()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: figures.count("sentinel_jobs", "a", "done"), range(1000)))
    assert read(figures.samples()) == {("sentinel_jobs_total", (("job", "a"), ("outcome", "done"))): 1000}


def test_what_asks_a_store_that_hangs_is_left_out_and_not_asked_again_before_it_answers():
    may, asked = threading.Event(), []

    def hanging():
        asked.append(1)
        assert may.wait(60)
        yield Sample("sentinel_outbox_due", (), 7)

    figures = Figures()
    figures.sources += [Soon(hanging, 0.01), lambda: iter([Sample("sentinel_ready", (), 0)])]
    assert read(figures.samples()) == {("sentinel_ready", ()): 0}
    wait_for(lambda: asked)
    for _ in range(2):
        assert read(figures.samples()) == {("sentinel_ready", ()): 0}
    assert asked == [1]
    may.set()
    figures.sources[0] = Soon(hanging, 60)
    assert read(figures.samples()) == {("sentinel_outbox_due", ()): 7, ("sentinel_ready", ()): 0}


def test_what_asks_a_store_that_is_busy_is_left_out_and_a_fault_is_one():
    def failing(error):
        raise error
        yield

    figures = Figures()
    figures.sources.append(Soon(lambda: failing(StoreBusy("away"))))
    assert read(figures.samples()) == {}
    figures.sources.append(Soon(lambda: failing(ZeroDivisionError())))
    with pytest.raises(ZeroDivisionError):
        read(figures.samples())


@given(st.lists(st.floats(0, 20)))
def test_a_histogram_says_how_many_lie_at_or_below_each_bound(values):
    figures = Figures()
    for value in values:
        figures.observe("sentinel_ingest_seconds", value, "one")
    found = read(figures.samples())
    for bound in BUCKETS if values else ():
        key = "sentinel_ingest_seconds_bucket", (("app", "one"), ("le", str(bound)))
        assert found[key] == sum(value <= bound for value in values)
    if values:
        assert found["sentinel_ingest_seconds_count", (("app", "one"),)] == len(values)
        assert found["sentinel_ingest_seconds_sum", (("app", "one"),)] == pytest.approx(sum(values))


def test_a_request_with_events_is_counted_by_what_became_of_them():
    figures = Figures()
    figures.ingested("one", Receipt(3, 2, 7, {5: ZeroDivisionError()}), 1, 0.02)
    figures.refused("malformed")
    found = read(figures.samples())
    outcomes = {dict(labels)["outcome"]: n for (name, labels), n in found.items() if name == "sentinel_events_total"}
    assert outcomes == {"accepted": 3, "duplicate": 2, "rejected": 1, "fault": 1}
    assert found["sentinel_refused_requests_total", (("code", "malformed"),)] == 1


def test_an_app_sees_its_own_figures_and_none_of_the_servers():
    figures = Figures()
    figures.count("sentinel_jobs", "a", "done")
    figures.ingested("one", Receipt(1, 0, 0), 0, 0.1)
    figures.ingested("two", Receipt(5, 0, 0), 0, 0.1)
    figures.sources.append(lambda: iter([Sample("sentinel_groups", ("two", "p"), 3)]))
    apps = {dict(labels).get("app") for _, labels in read(figures.samples(), "one")}
    assert apps == {"one"}


def test_what_attackers_name_cannot_break_the_text():
    figures = Figures()
    figures.count("sentinel_playbook_errors", "one", "p", 'x"\n# HELP evil\\')
    assert len(read(figures.samples())) == 1


def test_every_figure_can_be_shown():
    figures = Figures()
    for name, figure in FIGURES.items():
        labels = tuple("x" for _ in figure.labels)
        if figure.kind == "histogram":
            figures.observe(name, 1, *labels)
        else:
            figures.count(name, *labels)
    shown = {name for name, _ in read(figures.samples())}
    assert all(any(one.startswith(name) for one in shown) for name in FIGURES)
