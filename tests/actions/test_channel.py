"""Channels as the settings say them."""

from __future__ import annotations

import sys

import pytest

from sentinel.actions import channel as module
from sentinel.actions.channel import Channel, channels
from sentinel.actions.webhook import new_secret
from sentinel.core.errors import InputError
from tests.actions.telling import OTHER_SECRET, SECRET

URL = "https://hooks.example/T0/hunter2"
HOOK = {"kind": "webhook", "url": URL, "secret": SECRET}


def test_two_channels_exist_without_being_set_up() -> None:
    assert channels() == channels({}) == {"log": Channel("log"), "security": Channel("security")}
    assert channels()["security"].kind == "log"


def test_settings_replace_the_usual_ones_and_add_others() -> None:
    found = channels({"security": HOOK, "mail": {"kind": "apprise", "url": "mailto://u:p@example.com"}, "x": {}})
    assert {name: one.kind for name, one in found.items()} == {
        "log": "log", "security": "webhook", "mail": "apprise", "x": "log",
    }  # fmt: skip
    assert (found["security"].url, found["security"].secrets) == (URL, (SECRET,))


def test_a_webhook_may_have_several_secrets() -> None:
    found = channels({"hook": HOOK | {"secret": [SECRET, OTHER_SECRET]}})
    assert found["hook"].secrets == (SECRET, OTHER_SECRET)


def test_a_new_secret_is_a_secret_and_new() -> None:
    first, second = new_secret(), new_secret()
    assert channels({"hook": HOOK | {"secret": first}})["hook"].secrets == (first,)
    assert first != second


def test_a_channel_shows_neither_url_nor_secret() -> None:
    shown = repr(channels({"hook": HOOK})["hook"])
    assert "hunter2" not in shown
    assert SECRET not in shown


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("https://hooks.example/", "not a table"),
        ({"kind": "webhok"}, "`webhok` is not a kind of channel (one of log, webhook, apprise)"),
        ({"kind": "log", "url": URL}, "`url` is not a setting of a channel of kind `log`"),
        (HOOK | {"secrt": "x"}, "`secrt` is not a setting of a channel of kind `webhook` (did you mean `secret`?)"),
        ({"kind": "webhook", "secret": SECRET}, "`url` is missing"),
        (HOOK | {"url": "https://u:hunter2@hooks.example/"}, "`url`: the URL holds credentials"),
        (HOOK | {"url": 7}, "`url` is missing"),
        ({"kind": "webhook", "url": URL}, "`secret` is missing"),
        (HOOK | {"secret": []}, "`secret` is missing"),
        (HOOK | {"secret": "whsec_c2hvcnQ="}, "`secret` is not `whsec_` and base64 of 24 or more bytes"),
        (HOOK | {"secret": "whsec_?"}, "`secret` is not"),
        (HOOK | {"secret": [SECRET, 7]}, "`secret` is not"),
        ({"kind": "apprise"}, "`url` is missing"),
    ],
)
def test_a_channel_that_cannot_be_meant_is_an_error_without_secrets(setting: object, message: str) -> None:
    with pytest.raises(InputError) as caught:
        channels({"hook": setting})
    assert str(caught.value).startswith("channel `hook`: ")
    assert message in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("name", ["", "Security", "a b", "-a", "a" * 65, "é"])
def test_a_name_is_a_plain_one(name: str) -> None:
    with pytest.raises(InputError, match="not a name"):
        channels({name: {}})


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(InputError) as caught:
        channels({"a": {"kind": "x"}, "b": {}, "c": {"kind": "webhook"}})
    assert [line.partition(":")[0] for line in str(caught.value).splitlines()] == ["channel `a`", "channel `c`"]


def test_apprise_that_is_not_installed_is_an_error_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"apprise is not installed \(pip install 'sentinel-playbooks\[notify\]'\)"):
        channels({"mail": {"kind": "apprise", "url": "mailto://u:p@example.com"}})


def test_reading_channels_does_not_load_apprise() -> None:
    assert "apprise" in sys.modules or channels({"mail": {"kind": "apprise", "url": "json://a"}})
    assert not [name for name in vars(module) if name == "apprise"]
