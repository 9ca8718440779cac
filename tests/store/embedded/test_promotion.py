"""Properties with columns of their own: chosen by hand and from use, and never a difference to what is found."""

from __future__ import annotations

import shutil

import pytest

from sentinel.core.errors import SentinelError
from sentinel.core.record import Filter
from sentinel.engine.expression import compile_expression
from sentinel.store.embedded.store import open_store
from sentinel.store.rows import TEXTS
from tests.contract.values import NOW, batch, event, put

FULL = {f"p{number:02}": "x" for number in range(len(TEXTS))}


def send(store, number: int, **properties) -> None:
    put(store, batch(events=(event(f"e{number}", NOW + number, properties=properties),)))
    store.project()


def found(store, q: str) -> list[str]:
    return [kept.event.id for kept in store.events.search("shop", Filter(q=compile_expression(q))).items]


def promoted(store) -> set[str]:
    return {one.path for one in store.schema.properties("shop") if one.slot is not None}


def fill(store) -> None:
    """Take every column for texts, then send a property that gets none."""
    send(store, 0, **FULL)
    send(store, 1, late="a", p00="a")
    assert promoted(store) == set(FULL)


def test_a_property_promoted_by_hand_takes_the_column_of_the_one_asked_for_least(store):
    fill(store)
    for path in sorted(FULL)[1:]:
        found(store, f'properties.{path} == "x"')
    store.schema.promote("shop", "late")
    assert promoted(store) == {"late", *FULL} - {"p00"}
    send(store, 2, late="b", p00="b")
    send(store, 3, late=7, p00="a")
    assert found(store, 'properties.late in ["a", "b"]') == ["e2", "e1"]
    assert found(store, "properties.late == 7") == ["e3"]
    assert found(store, 'properties.p00 != "x"') == ["e3", "e2", "e1"]
    assert found(store, "properties.late != None") == ["e3", "e2", "e1"]


def test_a_promotion_outlives_a_crash_before_the_next_checkpoint(store, tmp_path):
    fill(store)
    store.checkpoint()
    store.schema.promote("shop", "late")
    send(store, 2, late="b", p00="b")
    shutil.copytree(tmp_path / "data", tmp_path / "copy", ignore=shutil.ignore_patterns("*.wal", "*.lock"))
    for suffix in ("-wal", "-shm"):
        with_suffix = tmp_path / "data" / f"sentinel.sqlite3{suffix}"
        if with_suffix.exists():
            shutil.copy(with_suffix, tmp_path / "copy" / with_suffix.name)
    again = open_store(tmp_path / "copy")
    try:
        assert found(again, 'properties.late in ["a", "b"]') == ["e2", "e1"]
        assert found(again, 'properties.p00 == "b"') == ["e2"]
        assert "late" in promoted(again)
    finally:
        again.close()


def test_what_is_asked_for_often_is_promoted_and_what_is_asked_for_once_is_not(store):
    fill(store)
    found(store, 'properties.late == "a"')
    assert store.schema.choose("shop") is None
    for _ in range(10):
        found(store, 'properties.late == "a"')
    assert store.schema.choose("shop", pinned=sorted(FULL)) is None
    for _ in range(10):
        found(store, 'properties.late == "a"')
    assert store.schema.choose("shop", pinned=["p00"]) == "late"
    assert "p00" in promoted(store)


def test_what_has_no_column_to_fit_or_none_to_take_is_refused(store):
    fill(store)
    send(store, 4, list=[1])
    for path in ("list", "nobody"):
        with pytest.raises(SentinelError, match=path):
            store.schema.promote("shop", path)
    with pytest.raises(SentinelError, match="by hand"):
        store.schema.promote("shop", "late", pinned=sorted(FULL))


def test_a_name_with_a_dot_is_no_path(store):
    send(store, 0, **{"a.b": "flat"})
    send(store, 1, a={"b": "nested"})
    assert found(store, 'properties.a.b == "nested"') == ["e1"]
    assert found(store, 'properties.a.b == "flat"') == []
    assert found(store, "properties.a.b != None") == ["e1"]
    assert {'"a.b"', "a.b"} <= {one.path for one in store.schema.properties("shop")}


class Meanwhile(dict):
    """The paths of an app; whenever some are looked through or one is looked up, something else happens first."""

    def __init__(self, paths, happens):
        super().__init__(paths)
        self._happens = happens

    def items(self):
        self._happens()
        return super().items()

    def __getitem__(self, path):
        self._happens()
        return super().__getitem__(path)


def test_whoever_is_the_first_to_ask_of_an_app_does_not_break_off_what_is_kept(store):
    send(store, 0, plan="free")
    own = store.schema.of("shop")
    own.paths = Meanwhile(own.paths, lambda: store.schema.slots("another"))
    store.schema.keep(counts=True)
    assert [one.path for one in store.schema.properties("shop")] == ["plan"]


def test_whoever_asks_for_a_property_does_not_break_off_the_choice_of_one(store):
    send(store, 0, plan="free", more="x")
    found(store, 'properties.plan == "free"')
    own = store.schema.of("shop")
    own.paths = Meanwhile(own.paths, lambda: own.asked.update(["more"]))
    assert store.schema.choose("shop") is None
