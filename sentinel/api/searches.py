"""/v1/searches: saved searches, and rules made from them."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field

from sentinel.api.asking import condition, wanted
from sentinel.api.context import Context, Here, Reader
from sentinel.api.models import ANSWERED, CONFLICT, Listing, Model, Moment, Text
from sentinel.api.parts import LONGEST, Id, Word
from sentinel.api.views import when, whole
from sentinel.core.record import SavedSearch
from sentinel.edge.access import Caller
from sentinel.edge.errors import require
from sentinel.service import saved
from sentinel.service.search import LONGEST as LONGEST_CONDITION

router = APIRouter(tags=["searches"])
Part = Annotated[Word, Field(min_length=1, max_length=LONGEST)]
Condition = Annotated[str, Field(max_length=LONGEST_CONDITION)]


class Fields(Model):
    """Which events are asked for beside the condition."""

    event: Part | None = None
    user: Part | None = None
    ip: Part | None = None


class NewSearch(Model):
    """What to search for, and what it is called."""

    name: Annotated[Text, Field(max_length=120)]
    q: Condition = ""
    filters: Fields = Fields()


class SearchView(NewSearch):
    """A search that is kept. `owner` is who kept it first."""

    model_config = ANSWERED

    id: str
    owner: str
    made: Moment
    changed: Moment


class NewRule(Model):
    """What a rule made of a search is called, and what it takes."""

    name: Annotated[str, Field(max_length=64, description="Its file's and its own name: small letters, digits, `-`.")]
    title: Text | None = None
    q: Condition = ""
    event: Part | None = None


class RuleText(Model):
    """The text of a rule's file, to be put into a folder of rules, and the name of it."""

    file: str
    yaml: str


@router.get("/v1/searches", response_model=Listing[SearchView])
def list_searches(here: Here, caller: Reader) -> Any:
    """Return the searches that are kept, by name."""
    return whole(here.store.searches.list(caller.app), _view)


@router.post("/v1/searches", response_model=SearchView, status_code=201, responses=CONFLICT)
def keep_search(here: Here, caller: Reader, search: NewSearch) -> Any:
    """Keep a search; its condition is checked."""
    filters = _checked(here, caller, search)
    return _view(saved.keep(here.store, caller.app, search.name, search.q, filters, caller.by, here.clock()))


@router.post("/v1/searches/rule", response_model=RuleText)
def make_rule(here: Here, caller: Reader, rule: NewRule) -> Any:
    """Return the text of a rule that takes what a search finds, checked as files are."""
    condition(here, rule.q)
    text = here.searches.rule(rule.name, rule.title or "", rule.q, rule.event)
    return {"file": f"{rule.name}.yaml", "yaml": text}


@router.get("/v1/searches/{id}", response_model=SearchView)
def get_search(here: Here, caller: Reader, id: Id) -> Any:
    """Return one search."""
    found = require(here.store.searches.get(caller.app, id), "search", id)
    return _view(found)


@router.put("/v1/searches/{id}", response_model=SearchView)
def change_search(here: Here, caller: Reader, id: Id, search: NewSearch) -> Any:
    """Change a search: its owner, or an administrator."""
    found = _own(here, caller, id)
    changed = replace(found, name=search.name, q=search.q, filters=_checked(here, caller, search), changed=here.clock())
    here.store.searches.put(caller.app, changed, caller.by, changed.changed)
    return _view(changed)


@router.delete("/v1/searches/{id}", status_code=204)
def remove_search(here: Here, caller: Reader, id: Id) -> None:
    """Remove a search: its owner, or an administrator."""
    _own(here, caller, id)
    here.store.searches.remove(caller.app, id, caller.by, here.clock())


def _own(here: Context, caller: Caller, id: str) -> SavedSearch:
    return require(saved.own(here.store, caller.app, id, caller.by, caller.scope == "admin"), "search", id)


def _checked(here: Context, caller: Caller, new: NewSearch) -> dict[str, str]:
    """Return a search's fields; raises the refusal of whatever cannot be meant."""
    filters: dict[str, str] = new.filters.model_dump(exclude_none=True)
    wanted(here, caller.app, new.q, **filters)
    return filters


def _view(search: SavedSearch) -> dict[str, Any]:
    return {
        "id": search.id, "name": search.name, "q": search.q, "filters": dict(search.filters), "owner": search.owner,
        "made": when(search.made), "changed": when(search.changed),
    }  # fmt: skip
