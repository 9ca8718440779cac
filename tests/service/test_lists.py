"""Lists from URLs: kept like what the URL holds, never at the price of a good one."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from sentinel.actions.download import download
from sentinel.actions.fetch import Fetcher
from sentinel.actions.target import PRIVATE, Reach
from sentinel.core.errors import InputError, SentinelError
from sentinel.enrich.network import NetworkLists
from sentinel.enrich.network import read as read_list
from sentinel.service.lists import EVERY, Copies, Copy, files
from tests.actions.receiver import Receiver, status

NOW = 1_795_210_200_000_000
URL = "https://lists.example/u"
OTHER = "https://other.example/v?key=secret"


class Web:
    """URLs that hold something, with a tag that is what they hold; others fail."""

    def __init__(self, held: dict[str, str]) -> None:
        self.held = held
        self.asked: list[tuple[str, str]] = []

    def __call__(self, url: str, tag: str) -> SimpleNamespace | None:
        self.asked.append((url, tag))
        if url not in self.held:
            raise SentinelError("the server answered 404")
        body = self.held[url]
        return None if tag == body else SimpleNamespace(body=body.encode(), tag=body)


def check(path: Path) -> None:
    if path.read_text() == "bad":
        raise InputError("bad indeed")


def copies(web: Web, *made: Copy) -> Copies:
    return Copies(made, web, check)


def test_files_stay_where_they_are_and_urls_get_a_file_of_their_own_in_the_data_folder(tmp_path: Path) -> None:
    found, made = files(tmp_path, {"tor": ["/etc/tor.txt", URL], "vpn": [URL, OTHER, "~/x"]})
    first, second = made
    assert (first.url, second.url) == (URL, OTHER)
    assert found == {"tor": [Path("/etc/tor.txt"), first.path], "vpn": [first.path, second.path, Path.home() / "x"]}
    assert first.path.parent == tmp_path / "lists" and first.path.name.startswith("lists.example-")
    assert "secret" not in second.path.name


@pytest.mark.parametrize("url", ["https://../../etc/x", "https://a%2f..%2fb/x", "https://[::1]/x", "https:///x"])
def test_no_url_leads_out_of_the_folder(tmp_path: Path, url: str) -> None:
    _, (made,) = files(tmp_path, {"tor": [url]})
    assert made.path.resolve().parent == (tmp_path / "lists").resolve()


def test_a_list_is_downloaded_once_and_again_when_it_changed(tmp_path: Path) -> None:
    web, path = Web({URL: "one"}), tmp_path / "lists" / "a.txt"
    known = copies(web, Copy(URL, path))
    assert known.refresh(NOW) == 1
    assert path.read_text() == "one"
    assert known.refresh(NOW + EVERY) == 0
    web.held[URL] = "two"
    assert known.refresh(NOW + 2 * EVERY) == 1
    assert path.read_text() == "two"
    assert web.asked == [(URL, ""), (URL, "one"), (URL, "one")]
    assert sorted(file.name for file in path.parent.iterdir()) == ["a.tag", "a.txt"]


def test_it_is_asked_for_every_hour_and_after_a_failure_at_the_next_call(tmp_path: Path) -> None:
    web = Web({URL: "one"})
    known = copies(web, Copy(URL, tmp_path / "a.txt"), Copy(OTHER, tmp_path / "b.txt"))
    for at in (NOW, NOW + 1):
        with pytest.raises(SentinelError):
            known.refresh(at)
    assert [url for url, _ in web.asked] == [URL, OTHER, OTHER]
    web.held[OTHER] = "two"
    assert known.refresh(NOW + 2) == 1
    assert known.refresh(NOW + EVERY - 1) == 0
    assert [url for url, _ in web.asked] == [URL, OTHER, OTHER, OTHER]


def test_after_a_restart_the_tag_is_still_known_and_a_deleted_file_is_downloaded_again(tmp_path: Path) -> None:
    web, path = Web({URL: "one"}), tmp_path / "a.txt"
    copies(web, Copy(URL, path)).refresh(NOW)
    assert copies(web, Copy(URL, path)).refresh(NOW) == 0
    path.unlink()
    assert copies(web, Copy(URL, path)).refresh(NOW) == 1
    assert [tag for _, tag in web.asked] == ["", "one", ""]


def test_one_that_fails_keeps_no_other_and_the_message_has_its_host_alone(tmp_path: Path) -> None:
    web, bad, good = Web({URL: "good"}), tmp_path / "bad.txt", tmp_path / "good.txt"
    bad.write_text("kept")
    with pytest.raises(SentinelError) as caught:
        copies(web, Copy(OTHER, bad), Copy(URL, good)).refresh(NOW)
    assert str(caught.value) == "list from `other.example`: the server answered 404"
    assert (bad.read_text(), good.read_text()) == ("kept", "good")


def test_a_page_in_place_of_a_list_replaces_nothing_and_is_asked_for_again(tmp_path: Path) -> None:
    """Else a restart would know nothing, and the tag would keep the page for good."""
    web, path = Web({URL: "good"}), tmp_path / "a.txt"
    known = copies(web, Copy(URL, path))
    known.refresh(NOW)
    web.held[URL] = "bad"
    with pytest.raises(SentinelError, match=r"list from `lists.example`: bad indeed"):
        known.refresh(NOW + EVERY)
    assert path.read_text() == "good"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.tag", "a.txt"]
    web.held[URL] = "better"
    assert known.refresh(NOW + EVERY + 1) == 1
    assert web.asked[-1] == (URL, "good")


def test_a_disk_that_takes_nothing_is_a_failure_like_any_other(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SentinelError, match=r"list from `lists.example`: "):
        copies(Web({URL: "one"}), Copy(URL, tmp_path / "file" / "a.txt")).refresh(NOW)


def test_the_same_bytes_without_a_tag_are_no_change(tmp_path: Path) -> None:
    def untagged(url: str, tag: str) -> SimpleNamespace:
        return SimpleNamespace(body=b"one", tag="")

    known = Copies([Copy(URL, tmp_path / "a.txt")], untagged, check)
    assert [known.refresh(NOW), known.refresh(NOW + EVERY)] == [1, 0]


def test_over_http_a_list_reaches_the_events(tmp_path: Path) -> None:
    """The parts as the server puts them together: fetched, checked, kept, read."""
    fetch = partial(download, Fetcher(Reach(PRIVATE), timeout=60))
    with Receiver(status(200, 'ETag: "v1"\r\n', b"192.0.2.0/24\n")) as receiver:
        found, made = files(tmp_path, {"tor": [receiver.url]})
        lists = NetworkLists(found)
        assert "anonymous" not in lists.of("192.0.2.1")
        assert Copies(made, fetch, read_list).refresh(NOW) == 1
    assert lists.refresh()
    assert lists.of("192.0.2.1")["anonymous"]


def test_a_list_on_a_private_address_is_refused_unless_the_settings_allow_it(tmp_path: Path) -> None:
    with Receiver(status(200, body=b"192.0.2.0/24\n")) as receiver:
        _, made = files(tmp_path, {"tor": [receiver.url]})
        with pytest.raises(SentinelError, match=r"is not asked: its address 127.0.0.1 is refused"):
            Copies(made, partial(download, Fetcher(timeout=60)), read_list).refresh(NOW)
        assert receiver.connections == 0
