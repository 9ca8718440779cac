"""/v1/searches: searches that are kept, and rules made of them."""

from __future__ import annotations

import secrets
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field

from sentinel.api.asking import condition, wanted
from sentinel.api.context import Context, Here, Reader
from sentinel.api.models import Model, Moment, Text
from sentinel.api.parts import LONGEST, Id, Word
from sentinel.api.views import when
from sentinel.core.record import SavedSearch
from sentinel.edge.access import Caller
from sentinel.edge.errors import ApiError, not_found
from sentinel.service.search import LONGEST as LONGEST_CONDITION

router = APIRouter(tags=["searches"])
MOST = 1000
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


@router.get("/v1/searches", response_model=list[SearchView])
def list_searches(here: Here, caller: Reader) -> Any:
    """Return the searches that are kept, by name."""
    return [_view(one) for one in here.store.searches.list(caller.app)]


@router.post("/v1/searches", response_model=SearchView, status_code=201)
def keep_search(here: Here, caller: Reader, search: NewSearch) -> Any:
    """Keep a search; its condition is checked."""
    if len(here.store.searches.list(caller.app)) >= MOST:
        raise ApiError("conflict", f"there are {MOST} searches already", "remove one that nobody needs")
    now = here.clock()
    return _put(here, caller, _checked(here, search, SavedSearch(secrets.token_hex(8), "", made=now, owner=caller.by)))


@router.post("/v1/searches/rule", response_model=RuleText)
def make_rule(here: Here, caller: Reader, rule: NewRule) -> Any:
    """Return the text of a rule that takes what a search finds, checked as files are."""
    condition(here, rule.q)
    text = here.searches.rule(rule.name, rule.title or "", rule.q, rule.event)
    return {"file": f"{rule.name}.yaml", "yaml": text}


@router.get("/v1/searches/{id}", response_model=SearchView)
def get_search(here: Here, caller: Reader, id: Id) -> Any:
    """Return one search."""
    return _view(_known(here, caller, id))


@router.put("/v1/searches/{id}", response_model=SearchView)
def change_search(here: Here, caller: Reader, id: Id, search: NewSearch) -> Any:
    """Change a search: its owner, or an administrator."""
    return _put(here, caller, _checked(here, search, _own(caller, _known(here, caller, id))))


@router.delete("/v1/searches/{id}", status_code=204)
def remove_search(here: Here, caller: Reader, id: Id) -> None:
    """Remove a search: its owner, or an administrator."""
    _own(caller, _known(here, caller, id))
    here.store.searches.remove(caller.app, id, caller.by, here.clock())


def _known(here: Context, caller: Caller, id: str) -> SavedSearch:
    found = here.store.searches.get(caller.app, id)
    if found is None:
        raise not_found("search", id)
    return found


def _own(caller: Caller, search: SavedSearch) -> SavedSearch:
    if caller.by != search.owner and caller.scope != "admin":
        raise ApiError("forbidden", "the search is another's", "keep one of your own, or ask an administrator")
    return search


def _checked(here: Context, new: NewSearch, base: SavedSearch) -> SavedSearch:
    filters = new.filters.model_dump(exclude_none=True)
    wanted(here, new.q, **filters)
    return SavedSearch(base.id, new.name, new.q, filters, base.owner, base.made, here.clock())


def _put(here: Context, caller: Caller, search: SavedSearch) -> dict[str, Any]:
    here.store.searches.put(caller.app, search, caller.by, search.changed)
    return _view(search)


def _view(search: SavedSearch) -> dict[str, Any]:
    return {
        "id": search.id, "name": search.name, "q": search.q, "filters": dict(search.filters), "owner": search.owner,
        "made": when(search.made), "changed": when(search.changed),
    }  # fmt: skip
