"""What an app and the keys to it may be called, keep and be used from; whose a kept search is to change."""

from __future__ import annotations

from contextlib import closing

import pytest

from sentinel.core.duration import DAY
from sentinel.core.errors import Conflict, Forbidden, SentinelError
from sentinel.core.record import App, SavedSearch
from sentinel.service import apps, saved
from sentinel.store.embedded.store import open_store

NOW = 1_750_000_000_000_000


@pytest.fixture
def store(tmp_path):
    with closing(open_store(tmp_path)) as opened:
        yield opened


def test_an_app_is_added_once(store):
    assert apps.add(store, "shop-2", "Shop", "ana", NOW) == App("shop-2", "Shop", NOW)
    assert store.access.app("shop-2") == App("shop-2", "Shop", NOW)
    with pytest.raises(Conflict, match="there is an app `shop-2` already"):
        apps.add(store, "shop-2", "Other", "ana", NOW)
    assert store.access.app("shop-2").name == "Shop"


@pytest.mark.parametrize("id", ["", "-", "-shop", "Shop", "sh op", "shop\n", "shöp", "shop_2", "a" * 64, "../shop"])
def test_an_id_is_lower_case_digits_and_hyphens(store, id):
    with pytest.raises(SentinelError, match="cannot be an app's"):
        apps.add(store, id, "", "ana", NOW)


def test_events_are_kept_for_an_hour_at_least_or_as_the_server_says():
    assert (apps.retention("90d"), apps.retention("1h"), apps.retention("none")) == (90 * DAY, DAY // 24, None)
    for wrong in ("59m", "", "for ever"):
        with pytest.raises(SentinelError):
            apps.retention(wrong)


@pytest.mark.parametrize(
    "origin", ["https://shop.example", "http://localhost:8080", "https://*.shop.example", "https://[2001:db8::1]:8443"]
)
def test_browser_keys_name_their_origins_and_no_others_do(origin):
    assert apps.origins("browser", [origin]) == {"origins": [origin]}
    assert apps.origins("sdk", []) == {}
    for scope, given in (("browser", []), ("sdk", [origin])):
        with pytest.raises(SentinelError, match="browser keys have some, other keys have none"):
            apps.origins(scope, given)


@pytest.mark.parametrize(
    "origin", ["*", "shop.example", "https://", "https://shop.example/", "https://a@shop.example", "https://*", "null"]
)
def test_what_is_no_origin_is_refused(origin):
    with pytest.raises(SentinelError, match="is not an origin"):
        apps.origins("browser", ["https://shop.example", origin])


def test_a_search_is_changed_by_who_kept_it_or_an_administrator(store):
    store.access.add_app(App("shop"), "test", NOW)
    kept = saved.keep(store, "shop", "Large", "success", {"event": "order"}, "ana", NOW)
    assert kept == SavedSearch(kept.id, "Large", "success", {"event": "order"}, "ana", NOW, NOW)
    assert saved.own(store, "shop", kept.id, "ana", admin=False) == kept
    assert saved.own(store, "shop", kept.id, "ben", admin=True) == kept
    with pytest.raises(Forbidden, match="another's"):
        saved.own(store, "shop", kept.id, "ben", admin=False)
    assert saved.own(store, "shop", "none", "ben", admin=False) is None


def test_only_so_many_searches_are_kept(store, monkeypatch):
    monkeypatch.setattr(saved, "MOST", 2)
    store.access.add_app(App("shop"), "test", NOW)
    for name in ("a", "b"):
        saved.keep(store, "shop", name, "", {}, "ana", NOW)
    with pytest.raises(Conflict, match="2 searches already"):
        saved.keep(store, "shop", "c", "", {}, "ana", NOW)
