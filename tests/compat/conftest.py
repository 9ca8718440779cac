import pytest

from tests.api.whole import whole as run_whole


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """One server for all tests of a module; tests take apps, keys and addresses of their own."""
    with run_whole(tmp_path_factory.mktemp("server")) as found:
        yield found
