"""Metrics in the text format of Prometheus. An app's key sees the metrics of its own app only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from sentinel.service.figures import BUCKETS, FIGURES, Figure, Histogram, Sample


def text(samples: Iterable[Sample], app: str | None = None) -> bytes:
    """Return the text of samples: all of them, or those of one app."""
    found: dict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        labels = FIGURES[sample.name].labels
        if app is None or ("app" in labels and sample.labels[labels.index("app")] == app):
            found[sample.name].append(sample)
    registry = CollectorRegistry()
    registry.register(_Collected(found))
    return generate_latest(registry)


class _Collected(Collector):
    def __init__(self, found: dict[str, list[Sample]]) -> None:
        self._found = found

    def collect(self) -> Iterator[Metric]:
        for name, figure in FIGURES.items():
            if name in self._found:
                yield _family(name, figure, self._found[name])


def _family(name: str, figure: Figure, samples: list[Sample]) -> Metric:
    if figure.kind == "histogram":
        histogram = HistogramMetricFamily(name, figure.help, labels=figure.labels)
        for sample in samples:
            assert isinstance(sample.value, Histogram)
            below = [(str(bound), count) for bound, count in zip(BUCKETS, sample.value.below, strict=True)]
            histogram.add_metric(sample.labels, [*below, ("+Inf", sample.value.observed)], sample.value.total)
        return histogram
    kind = CounterMetricFamily if figure.kind == "counter" else GaugeMetricFamily
    family = kind(name, figure.help, labels=figure.labels)
    for sample in samples:
        assert not isinstance(sample.value, Histogram)
        family.add_metric(sample.labels, sample.value)
    return family
