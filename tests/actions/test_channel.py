"""Channels as the settings say them."""

from __future__ import annotations

import sys

import pytest

from sentinel.actions import channel as module
from sentinel.actions.channel import Channel, channels
from sentinel.core.bundle import Bound
from sentinel.core.duration import DAY, MINUTE, SECOND
from sentinel.core.errors import InputError
from tests.actions.telling import OTHER_SECRET, SECRET

URL = "https://hooks.example/T0/hunter2"
MAIL = {"kind": "apprise", "url": "mailto://u:p@example.com"}
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


@pytest.mark.parametrize(
    ("setting", "most"),
    [
        ({}, None),
        (HOOK, None),
        (MAIL, Bound(20, 10 * MINUTE)),
        (MAIL | {"most": "1/1s"}, Bound(1, SECOND)),
        (MAIL | {"most": "none"}, None),
        (HOOK | {"most": "10000/1d"}, Bound(10_000, DAY)),
        (HOOK | {"format": "ocsf", "most": "none"}, None),
        ({"kind": "log", "most": "5/1h30m"}, Bound(5, 90 * MINUTE)),
    ],
)
def test_people_are_told_so_many_one_by_one_and_programs_each_unless_the_settings_say_otherwise(
    setting: dict[str, object], most: Bound | None
) -> None:
    assert channels({"one": setting})["one"].most == most


@pytest.mark.parametrize(
    "most",
    ["", "20", "20/", "/10m", "0/10m", "-1/10m", "10001/10m", "20/0s", "20/2d", "20/10", "x/1m", "²/10m", 20, {"x": 1}],
)
def test_a_bound_that_cannot_be_meant_says_how_to_write_one(most: object) -> None:
    with pytest.raises(InputError, match=r"^channel `one`: `most`: `.*` is not a bound \(write `20/10m`: 1 to 1"):
        channels({"one": MAIL | {"most": most}})


def test_a_channel_that_is_told_in_another_form_has_no_bound() -> None:
    with pytest.raises(InputError, match="`most`: there is no ecs document of many findings"):
        channels({"one": HOOK | {"format": "ecs", "most": "20/10m"}})


def test_what_a_channel_is_is_told_with_its_bound() -> None:
    found = channels({"mail": MAIL, "hook": HOOK})
    assert (found["mail"].described, found["hook"].described) == ("apprise, at most 20 in 10m one by one", "webhook")


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
