"""A deleted person in what the engine remembers: windows count on under a pseudonym, and no snapshot names them."""

from __future__ import annotations

import pytest

from sentinel.engine.keys import renamed
from tests.api.whole import whole


def test_a_name_is_replaced_alone_and_in_keys_of_groups():
    names = {"id:1": "gone:abc"}
    assert renamed("id:1", names) == "gone:abc"
    assert renamed("4:id:111:203.0.113.9", names) == "8:gone:abc11:203.0.113.9"
    assert renamed("id:11", names) == "id:11"
    assert renamed("5:id:11", names) == "5:id:11"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with whole(tmp_path_factory.mktemp("deleting")) as found:
        yield found


def told(windows):
    return b"".join(windows.snapshot(watch) for watch in windows.trackers)


def test_no_window_and_no_snapshot_names_a_deleted_person(server):
    server.fail("203.0.113.77", user="jane-doe", times=2)
    store, pipeline = server.server.store, server.server.pipeline
    with pipeline.lock:
        before = told(pipeline.tenants["one"].windows)
    assert b"jane-doe" in before
    server.using("admin").delete("/v1/users/jane-doe")
    with pipeline.lock:
        tenant = pipeline.tenants["one"]
        assert b"jane-doe" not in told(tenant.windows)
        assert b"jane-doe" not in b"".join([*tenant.memory.familiar.dump(), *tenant.memory.crowd.dump()])
    assert all(b"jane-doe" not in one.state for one in store.snapshots.load("one").values())
    server.fail("203.0.113.77", user="other", times=1)
    assert any(
        one["ip"] == "203.0.113.77"
        for one in server.using("admin").get("/v1/findings?playbook=three-failures").json["items"]
    )
