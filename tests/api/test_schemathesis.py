"""Random requests made from the API's own description: none is answered by a fault, each answer is as described."""

from __future__ import annotations

import re
import threading

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from tests.api.test_walls import RIGHTS, STREAMS
from tests.api.whole import whole as run_whole

CHECKS = [not_a_server_error, status_code_conformance, response_schema_conformance]
LASTING = {"sentinel-writer", "sentinel-outbox", "APScheduler"}
BOUNDED = settings(
    max_examples=10, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with run_whole(tmp_path_factory.mktemp("random")) as whole:
        whole.fail("203.0.113.9")
        whole.threads = [one for one in threading.enumerate() if one.name in LASTING]
        yield whole


@pytest.fixture(scope="module")
def operations(server):
    schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{server.client.port}/v1/openapi.json", timeout=60)
    return {operation.ok().label: operation.ok() for operation in schema.get_all_operations()}


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["well-formed", "ill-formed"])
@pytest.mark.parametrize("operation", [one for one in RIGHTS if one not in STREAMS])
def test_no_request_is_answered_by_a_fault(server, operations, operation, mode):
    found = operations[operation]

    @BOUNDED
    @given(found.as_strategy(generation_mode=mode))
    def probe(case):
        case.call_and_validate(
            base_url=f"http://127.0.0.1:{server.client.port}",
            headers={"Authorization": f"Bearer {server.server.token}", "Sentinel-App": "one"},
            checks=CHECKS,
            timeout=60,
        )

    if mode is GenerationMode.POSITIVE or found.query or found.path_parameters or found.body:
        probe()


def test_nothing_of_all_that_was_a_fault_of_ours(server):
    """The server still does its work, every thread of it lives, and none of its jobs met a fault."""
    assert {one.name for one in server.threads} == LASTING
    assert [one.name for one in server.threads if not one.is_alive()] == []
    figures = server.local.get("/metrics").body.decode()
    assert 'outcome="done"' in figures
    assert re.findall(r"sentinel_jobs_total\{[^}]*outcome=\"fault\"[^}]*\} .*", figures) == []
    server.fail("203.0.113.200")
    assert server.client.get("/readyz").json["status"] == "ok"
    assert server.using("admin").get("/v1/decisions?value=203.0.113.200").json["items"]
