"""What the composition root puts together for enrichment: settings, downloads, files and what is said of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from sentinel.app import Server, open_server
from sentinel.core.duration import HOUR
from sentinel.core.errors import InputError, SentinelError
from sentinel.core.record import App
from sentinel.engine.windows import Gauge, Hit, Threshold, Watch
from tests.actions.receiver import Receiver, status
from tests.api.whole import settings
from tests.enrich.making import event, touched

Opened = Callable[..., Server]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    stores = []

    def make(**more: Any) -> Server:
        server = open_server(settings(tmp_path, **more))
        stores.append(server.store)
        return server

    yield make
    for store in stores:
        store.close()


def network(server: Server, ip: str = "192.0.2.1") -> Any:
    found = event(ip=ip)
    server.enrichment.enricher.enrich(found)
    return found.network


def run(server: Server, name: str) -> None:
    """Run a job as its clock does, but let its errors be seen."""
    (job,) = [job for job in server._jobs() if job.name == name]
    job.run()


def test_a_list_from_a_url_is_downloaded_and_used_and_known_at_once_after_a_restart(opened: Opened) -> None:
    with Receiver(status(200, 'ETag: "v1"\r\n', b"192.0.2.0/24\n")) as receiver:
        options = {"network_lists": {"hosting": (receiver.url,)}, "allow_private_webhooks": True}
        server = opened(**options)
        assert "hosting" not in network(server)
        run(server, "lists")
        assert network(server)["hosting"]
    server.store.close()
    assert network(opened(**options))["hosting"]


def test_a_private_url_is_refused_unless_the_settings_allow_it(opened: Opened) -> None:
    with Receiver(status(200, body=b"192.0.2.0/24\n")) as receiver:
        server = opened(network_lists={"hosting": (receiver.url,)})
        with pytest.raises(SentinelError, match="is refused"):
            run(server, "lists")
        assert receiver.connections == 0


def test_a_list_in_a_file_is_taken_over_when_it_changes(opened: Opened, tmp_path: Path) -> None:
    file = tmp_path / "tor.txt"
    file.write_text("192.0.2.1\n")
    server = opened(network_lists={"tor": (str(file),)})
    assert network(server)["kind"] == "tor"
    file.write_text("192.0.2.2\n")
    touched(file)
    run(server, "enrichment")
    assert (network(server)["kind"], network(server, "192.0.2.2")["kind"]) == ("public", "tor")


def test_what_is_wrong_with_databases_and_lists_is_said_once(opened: Opened, tmp_path: Path) -> None:
    server = opened(geo=(tmp_path / "none.mmdb",), network_lists={"tor": (str(tmp_path / "none.txt"),)})
    with capture_logs() as lines:
        run(server, "enrichment")
        run(server, "enrichment")
    told = [line["error"] for line in lines if line.get("where") == "enrichment"]
    assert [text.partition(" `")[0] for text in told] == ["geo database", "list of tor networks"]


def test_a_kind_nobody_knows_stops_the_start_in_words(opened: Opened) -> None:
    with pytest.raises(InputError, match="`tro` is not a kind"):
        opened(network_lists={"tro": ("/x",)})


def test_a_server_that_stops_downloads_nothing_more(opened: Opened) -> None:
    with Receiver(status(200, body=b"192.0.2.0/24\n")) as receiver:
        server = opened(network_lists={"tor": (receiver.url,)}, allow_private_webhooks=True)
        server._stopping.set()
        with pytest.raises(SentinelError, match="the server is stopping"):
            run(server, "lists")
        assert receiver.connections == 0


@pytest.mark.parametrize(("most", "merged"), [(1000, 500), (2000, 0)])
def test_hits_past_the_setting_are_counted_as_approximate(opened: Opened, most: int, merged: int) -> None:
    """1,500 hits of one group: past the bound the older half is merged, and once more where it fills again."""
    (app,) = (server := opened(hits_per_group=most)).store.access.apps() or [App("one", made=0)]
    watch = Watch("w", HOUR, HOUR, Threshold((Gauge("sum", 10**12),)))
    tenant = server.tenants.empty(app, ())
    tenant.windows.watch(watch)
    tenant.windows.hit([Hit("w", "g", n, f"e{n}", (1,), True, None) for n in range(1_500)], 1_500)
    server.pipeline.tenants[app.id] = tenant
    found = [one for one in server.overview.samples() if one.name == "sentinel_windows_merged"]
    assert [(one.labels, one.value) for one in found] == ([((app.id, "w"), merged)] if merged else [])
