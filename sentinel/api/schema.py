"""/v1/schema: what an app sends: names of events, properties with their types, and which properties have a column."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import Field

from sentinel.api.context import Admin, Here, Reader
from sentinel.api.models import Model, Moment
from sentinel.api.parts import LONGEST, Word
from sentinel.api.views import when
from sentinel.core.duration import DAY
from sentinel.core.record import Filter, Property
from sentinel.edge.errors import not_found
from sentinel.service.upkeep import pin, pinned

router = APIRouter(tags=["schema"])
MOST = 1000


class EventName(Model):
    """A name of events: how many there are, first and last seen."""

    name: str
    events: int
    users: int
    first: Moment
    last: Moment


class PropertyView(Model):
    """A property: the JSON type first seen, and how many values were of another.

    `promoted`: it has a column, so that it is searched fast; `pinned`: somebody said so.
    """

    path: str
    type: str
    first: Moment
    last: Moment
    conflicts: int
    promoted: bool
    pinned: bool


class SchemaView(Model):
    """The names of events, most frequent first, and the properties, by path."""

    events: list[EventName]
    properties: list[PropertyView]


class Promotion(Model):
    """Whether a property is to have a column whatever it is asked for."""

    promoted: Annotated[bool, Field(description="False leaves it to how often it is asked for.")]


@router.get("/v1/schema", response_model=SchemaView)
def get_schema(here: Here, caller: Reader) -> Any:
    """Return the names of events and the properties that an app sends."""
    everything = Filter(since=0, until=here.clock() + DAY)
    names = here.store.explorer.names(caller.app, everything, "events", MOST)
    fixed = pinned(here.store, caller.app)
    return {
        "events": [
            {"name": one.name, "events": one.amount.events, "users": one.amount.users, "first": when(one.first),
             "last": when(one.last)}
            for one in names.items
        ],
        "properties": [_view(one, fixed) for one in here.store.schema.properties(caller.app)],
    }  # fmt: skip


@router.put("/v1/schema/{path:path}", response_model=PropertyView)
def promote_property(
    here: Here, caller: Admin, path: Annotated[Word, Path(max_length=LONGEST)], promotion: Promotion
) -> Any:
    """Give a property a column for the events to come, or leave that to how often it is asked for."""
    found = pin(here.store, caller.app, path, promotion.promoted, caller.by, here.clock())
    if found is None:
        own = path.removeprefix("properties.")
        written = f"the schema names it without `properties.`: `{own[:64]}`"
        raise not_found("property", path, "the schema has those that events came with" if own == path else written)
    return _view(found, pinned(here.store, caller.app))


def _view(one: Property, fixed: list[str]) -> dict[str, Any]:
    return {
        "path": one.path, "type": one.type, "first": when(one.first), "last": when(one.last),
        "conflicts": one.conflicts, "promoted": one.slot is not None, "pinned": one.path in fixed,
    }  # fmt: skip
