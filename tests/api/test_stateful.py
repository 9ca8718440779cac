"""Random chains of requests, each made of what those before it answered: no chain ends in a fault."""

from __future__ import annotations

from typing import ClassVar

import schemathesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis.errors import FlakyStrategyDefinition
from hypothesis.stateful import run_state_machine_as_test
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

from tests.api.test_walls import STREAMS
from tests.api.whole import whole as run_whole

CHECKS = [not_a_server_error, status_code_conformance, response_schema_conformance]
STEPS = 8
TRIES = 5


def machine(whole):
    """Return chains over every operation, led from answer to answer by the names of their fields."""
    schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{whole.client.port}/v1/openapi.json", timeout=60)
    led = schema.exclude(path=[one.split(" ")[1] for one in STREAMS])

    class Chains(led.as_state_machine()):
        asked = 0
        faults: ClassVar[list[BaseException]] = []

        def get_call_kwargs(self, case):
            Chains.asked += 1
            return {"headers": {"Authorization": f"Bearer {whole.server.token}", "Sentinel-App": "one"}, "timeout": 60}

        def validate_response(self, response, case, **_):
            try:
                case.validate_response(response, checks=CHECKS)
            except BaseException as fault:
                Chains.faults.append(fault)
                raise

    return Chains


def run(chains, bounded):
    """Run chains. The server remembers those before: where the same one is answered otherwise, others are begun."""
    for _ in range(TRIES):
        try:
            run_state_machine_as_test(chains, settings=bounded)
        except FlakyStrategyDefinition:
            assert chains.faults == []
        else:
            return


def test_no_chain_of_requests_ends_in_a_fault(tmp_path):
    bounded = settings(
        max_examples=settings.default.max_examples // 3, stateful_step_count=STEPS, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck), deadline=None,
    )  # fmt: skip
    with run_whole(tmp_path) as whole:
        whole.fail("203.0.113.9")
        chains = machine(whole)
        run(chains, bounded)
        assert chains.faults == []
        assert chains.asked > 2 * bounded.max_examples
        assert whole.client.get("/readyz").json["status"] == "ok"
        whole.fail("203.0.113.10")
        assert whole.using("admin").get("/v1/decisions?value=203.0.113.10").json["items"]
