"""What every test shares: how hard Hypothesis looks, an environment without settings, and searches that wait.

Fixtures of one room belong in that room's own conftest.
"""

import os

from hypothesis import HealthCheck, Phase, settings

from sentinel.store.embedded import projector

settings.register_profile(
    "ci", derandomize=True, database=None, deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("dev", deadline=None, max_examples=300)
settings.register_profile("fuzz", settings.get_profile("dev"), max_examples=int(os.environ.get("EXAMPLES") or 5000))
settings.register_profile("quick", settings.get_profile("ci"), phases=[Phase.explicit, Phase.generate])  # no shrinking
settings.load_profile("ci")  # `pytest --hypothesis-profile=dev` searches further, with new examples each time


# What a shell sets for a server of its own is none of the tests'. What is for them, they are told without the prefix.
for _name in [name for name in os.environ if name.startswith("SENTINEL_")]:
    _value = os.environ.pop(_name)
    if _name.startswith("SENTINEL_TEST_"):
        os.environ[_name.removeprefix("SENTINEL_")] = _value

# A test that stores and asks means to find: on a busy machine the events before may take longer than a search waits.
projector._PATIENCE = 30.0


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a case of long bytes by its argument, not by its content.

    Each process of a run collects the tests for itself and all must find the same names; packed bytes hold the time.
    """
    return argname if isinstance(val, bytes) and len(val) > 16 else None
