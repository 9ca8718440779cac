"""A real server whose playbook files are edited: what it says of them, and that no event is lost meanwhile."""

from __future__ import annotations

import threading

import pytest

from sentinel.app import open_server
from sentinel.settings import Settings
from tests.api.served import served, wait_for
from tests.api.whole import PLAYBOOKS, rewrite
from tests.api.whole import whole as run_whole


@pytest.fixture
def server(tmp_path):
    with run_whole(tmp_path) as found:
        found.file = tmp_path / "playbooks" / "all.yaml"
        yield found


def playbook(server, id="three-failures", app="one"):
    found = server.using("read", app).get("/v1/playbooks").json
    return next((one for one in found["items"] if one["id"] == id), None)


def edit(server, old, new):
    """Edit the file and wait until the server goes by it."""
    before = playbook(server)["version"]
    rewrite(server.file, server.file.read_text().replace(old, new))
    wait_for(lambda: playbook(server)["version"] != before and playbook(server)["state"] == "ready")


def test_a_new_threshold_works_without_a_restart_and_counts_what_came_before(server):
    server.fail("203.0.113.9", times=2)
    edit(server, "when: {count: 3}", "when: {count: 4}")
    server.fail("203.0.113.9", times=1)
    assert server.using("read").get("/v1/decisions").json["items"] == []
    server.fail("203.0.113.9", times=1)
    (made,) = server.using("read").get("/v1/decisions").json["items"]
    assert made["value"] == "203.0.113.9"
    finding = server.using("read").get(f"/v1/findings/{made['finding']}").json
    assert (finding["tally"], finding["version"]) == ({"count": 4}, playbook(server)["version"])


def test_another_title_and_mode_keep_the_state_and_the_new_words_are_used(server):
    server.fail("203.0.113.10", times=2)
    tracker = server.server.pipeline.tenants["one"].windows.trackers["three-failures"]
    edit(server, "title: Three failed logins from one address", "title: Another title")
    assert server.server.pipeline.tenants["one"].windows.trackers["three-failures"] is tracker
    server.fail("203.0.113.10", times=1)
    (made,) = server.using("read").get("/v1/decisions").json["items"]
    assert made["reason"] == "Another title"


def test_no_event_is_lost_while_playbooks_change_under_load(server):
    """Two senders go on while the threshold is changed to and fro; at the end the window holds every event."""
    stop, sent, refused = threading.Event(), [], []

    def send(name):
        n = 0
        while not stop.wait(0.01):
            batch = [
                {"event": "auth", "success": False, "ip": "203.0.113.77", "user": "x", "id": f"{name}-{n}-{k}"}
                for k in range(20)
            ]
            answer = server.using("sdk").post("/v1/events", batch)
            (sent if answer.status == 200 and answer.json["accepted"] == 20 else refused).append(len(batch))
            n += 1

    senders = [threading.Thread(target=send, args=(name,)) for name in "ab"]
    for sender in senders:
        sender.start()
    try:
        edit(server, "when: {count: 3}", "when: {sum: {properties.n: 5}, count: 900000}")
        edit(server, "count: 900000}", "count: 900001}")
        wait_for(lambda: refused or sum(sent) > 100)
    finally:
        stop.set()
        for sender in senders:
            sender.join()
    assert not refused
    found = server.using("read").get("/v1/explain/group?group=ip%3D203.0.113.77").json["playbooks"]
    assert found[0]["tally"]["count"] == sum(sent)


def test_a_mistake_is_shown_and_the_last_good_version_works_on(server):
    before = playbook(server)
    rewrite(server.file, server.file.read_text().replace("when: {count: 3}", "when: {cuont: 3}"))
    seen = lambda: server.using("read").get("/v1/playbooks").json["mistakes"]  # noqa: E731
    wait_for(seen)
    (mistake,) = seen()
    assert (mistake["message"], mistake["hint"]) == ("unknown key `cuont`", "did you mean `count`?")
    assert mistake["file"] == str(server.file) and mistake["line"] > 1
    metrics = server.local.get("/metrics").body.decode()
    assert "sentinel_playbook_mistakes 1.0" in metrics
    assert playbook(server) == before
    server.fail("203.0.113.11")
    assert len(server.using("read").get("/v1/decisions").json["items"]) == 1
    rewrite(server.file, PLAYBOOKS)
    wait_for(lambda: not seen())


def test_versions_are_told_newest_first_with_their_texts(server):
    wait_for(lambda: server.using("read").get("/v1/playbooks/three-failures/versions").status == 200)
    edit(server, "when: {count: 3}", "when: {count: 4}")
    path = "/v1/playbooks/three-failures/versions"
    wait_for(lambda: len(server.using("read").get(path).json["items"]) == 2)
    newest, oldest = server.using("read").get(path).json["items"]
    assert newest["version"] == playbook(server)["version"] != oldest["version"]
    assert "when: {count: 4}" in newest["source"] and "when: {count: 3}" in oldest["source"]
    assert newest["source"].startswith("playbook: three-failures\n") and "only-watching" not in newest["source"]
    assert newest["by"] == server.file.owner()
    first = server.using("read").get(f"{path}?limit=1").json
    assert ([one["version"] for one in first["items"]], first["total"]) == ([newest["version"]], 2)
    assert server.using("read").get(f"{path}?limit=1&cursor={first['cursor']}").json["items"] == [oldest]
    assert server.using("read").get("/v1/playbooks/nothing/versions").status == 404


def test_what_a_server_starts_with_is_kept_before_it_is_ready(tmp_path, monkeypatch):
    """What is found by it names its version, however soon the files change."""
    monkeypatch.setattr("sentinel.service.reload.Reload.look", lambda self: None)
    with run_whole(tmp_path) as server:
        (first,) = server.local.get("/v1/playbooks/three-failures/versions").json["items"]
    assert "when: {count: 3}" in first["source"]


def test_after_a_restart_the_changed_playbook_goes_on_with_its_state(tmp_path):
    with run_whole(tmp_path) as server:
        server.file = tmp_path / "playbooks" / "all.yaml"
        server.fail("203.0.113.9", times=2)
        edit(server, "when: {count: 3}", "when: {count: 4}")
        changed = server.file.read_text()
        server.fail("203.0.113.9", times=1)
    (tmp_path / "playbooks" / "all.yaml").write_text(changed)
    again = open_server(Settings(data=tmp_path / "data", port=0, playbooks=(tmp_path / "playbooks",), rate=1_000_000))
    with served(again.front, lifespan="on") as client:
        wait_for(lambda: client.get("/readyz").status == 200)
        local = client.using(again.token)
        found = local.get("/v1/explain/group?group=ip%3D203.0.113.9", headers={"Sentinel-App": "one"}).json
        assert found["playbooks"][0]["tally"] == {"count": 3}
