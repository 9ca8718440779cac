"""User agents: what they say, who is a bot, and the fingerprint of a device."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentinel.core.device import fingerprint
from sentinel.enrich import agent

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/145.0.0.0 Safari/537.36"
)
PIXEL = "Mozilla/5.0 (Linux; Android 16; Pixel 10) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/145.0.0.0 Mobile"
CUBOT = (
    "Mozilla/5.0 (Linux; Android 9; CUBOT NOTE) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/99.0 Mobile Safari/537.36"
)


def test_a_desktop_browser_names_browser_and_system() -> None:
    assert agent.read(CHROME) == {"browser": "Chrome", "os": "Windows", "bot": False}


def test_a_telephone_names_its_model() -> None:
    assert agent.read(PIXEL) == {"browser": "Chrome Mobile", "os": "Android", "device": "Pixel 10", "bot": False}


@pytest.mark.parametrize(
    "text",
    [
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "GPTBot/1.0",
        "facebookexternalhit/1.1", "Scrapy/2.1 (+https://scrapy.org)", "Java/1.8", "python-requests/2.32.5", "curl/8.1",
        "python-httpx/0.27", "Python/3.11 aiohttp/3.9", "Go-http-client/1.1", "axios/1.6", "node-fetch",
        "Wget/1.2", "libwww-perl/6", "Apache-HttpClient/4.5", "PostmanRuntime/7", "sqlmap/1.5#stable", "CURL/8",
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/120.0 Safari/537.36",
    ],
)  # fmt: skip
def test_spiders_and_programs_are_bots(text: str) -> None:
    assert agent.read(text)["bot"] is True


@pytest.mark.parametrize(
    "text", [CHROME, PIXEL, CUBOT, "okhttp/4.9", "Shop/3.1 CFNetwork/1490 Darwin/23.2", "nodezilla", "x"]
)
def test_people_and_their_apps_are_no_bots(text: str) -> None:
    assert agent.read(text)["bot"] is False


def test_an_unheard_of_agent_has_no_browser_rather_than_other() -> None:
    assert agent.read("zzz") == {"bot": False}


def test_a_bot_has_no_device_and_none_a_system_called_other() -> None:
    text = "Mozilla/5.0 (compatible;PetalBot;+https://webmaster.petalsearch.com/site/petalbot)"
    assert agent.read(text) == {"browser": "PetalBot", "bot": True}


def test_an_empty_agent_says_nothing() -> None:
    assert agent.read("") == {}


def test_of_an_endless_agent_the_beginning_is_looked_at() -> None:
    assert agent.read(CHROME + "x" * 100_000)["browser"] == "Chrome"
    assert "browser" not in agent.read("x" * 2000 + CHROME)


@given(st.text(max_size=80))
def test_no_text_is_too_strange(text: str) -> None:
    found = agent.read(text)
    assert found.keys() <= {"browser", "os", "device", "bot"}
    assert all(type(found[name]) is str for name in found.keys() - {"bot"})


@given(st.text(max_size=30))
def test_the_device_is_the_fingerprint_that_every_sdk_makes(text: str) -> None:
    assert agent.device(text) == fingerprint(text)


def test_a_device_of_an_endless_agent_is_of_the_whole_of_it_and_not_remembered() -> None:
    before = agent._fingerprint.cache_info().currsize
    one, two = agent.device("x" * 5000), agent.device("x" * 5000 + "y")
    assert one == fingerprint("x" * 5000)
    assert one != two
    assert agent._fingerprint.cache_info().currsize == before
