"""docs/sdk.md has a place for every setting, every variable and every public call, and names no other."""

import ast
import inspect
import json
import re
import typing
from pathlib import Path

import pytest

from sentinel import sdk
from sentinel.sdk import options, testing
from sentinel.sdk.client import Client
from sentinel.sdk.health import Health
from sentinel.sdk.options import Options

PAGE = (Path(__file__).parents[2] / "docs" / "sdk.md").read_text()
SETTINGS = PAGE.partition("## Settings")[2].partition("\n## ")[0]
ROWS = [line.split("|")[1] for line in SETTINGS.splitlines() if line.startswith("| `")]


def test_every_setting_has_a_row_and_every_row_is_a_setting():
    named = [name for row in ROWS for name in re.findall(r"`([a-z_]+)`", row)]
    assert sorted(named) == sorted(set(options.Options.__slots__) - {"proxy_hops"})


def test_type_checkers_know_every_setting_of_start_and_no_other():
    """An application's own type checker finds a misspelt one: the package says that it is typed."""
    hints = typing.get_type_hints(options.Settings)
    assert sorted(hints.keys() | {"url", "key"}) == sorted(set(options.Options.__slots__) - {"proxy_hops"})
    for call in (sdk.start, inspect.unwrap(testing.capture)):
        assert typing.get_type_hints(call)["settings"] == typing.Unpack[options.Settings]
    assert (Path(sdk.__file__).parents[1] / "py.typed").exists()


def test_every_variable_is_named_beside_its_setting():
    told = dict(re.findall(r"`([a-z_]+)` \(`(SENTINEL_[A-Z_]+)", SETTINGS))
    assert told == options._VARIABLES | {"enforce": "SENTINEL_ENFORCE"}


def test_the_defaults_that_are_told_are_the_defaults():
    told = options.Options()
    for name, text in (
        ("flush_interval", "1 s"), ("flush_count", "100"), ("poll_interval", "5 s"), ("silence", "25 s"),
        ("timeout", "5 s"), ("startup_wait", "1 s"), ("exit_wait", "1 s"), ("refused_wait", "60 s"),
        ("report_interval", "60 s"),
    ):  # fmt: skip
        (row,) = [line for line in SETTINGS.splitlines() if line.startswith(f"| `{name}`")]
        assert row.split("|")[2].strip() == text
        assert float(text.removesuffix(" s")) == getattr(told, name)
    assert (told.buffer_size, told.buffer_bytes, told.retry_base, told.retry_limit) == (10_000, 32 * 2**20, 0.5, 30.0)


@pytest.mark.parametrize("name", sdk.__all__)
def test_every_public_name_is_explained(name):
    assert name == "Verdict" or re.search(rf"`{name}\(|sdk\.{name}", PAGE)


def test_the_stand_in_is_explained():
    for name, _ in inspect.getmembers(testing.Captured, lambda member: not isinstance(member, str)):
        assert name.startswith("_") or re.search(rf"[`.]{name}[(`]", PAGE), name


def test_the_examples_are_python():
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        assert compile(block, "docs/sdk.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


PROTOCOL = (Path(__file__).parents[2] / "docs" / "sdk-protocol.md").read_text()


def test_the_protocol_tells_what_a_process_reports():
    (told,) = re.findall(r"```json\n(.*?)```", PROTOCOL, re.DOTALL)
    (sent,) = Health(Client(Options()).stats).headers().values()
    assert sorted(json.loads(told)) == sorted(json.loads(sent))


def test_every_file_of_vectors_is_named_and_is_there():
    folder = Path(__file__).parents[2] / "data"
    assert sorted(re.findall(r"`data/(\S+-vectors\.json)`", PROTOCOL)) == sorted(
        path.name for path in folder.glob("*-vectors.json")
    )
