"""/v1/users and /v1/links: which identifiers belong to one person."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query

from sentinel.api.activity import UserView, activity_view, shares_view, whole
from sentinel.api.asking import Since, Until
from sentinel.api.context import ASKED_IN_TURN, Admin, Here, Reader
from sentinel.api.models import Model, Moment, Revision
from sentinel.api.parts import LONGEST, Word
from sentinel.api.views import decision_view, person_view, when
from sentinel.edge.errors import not_found
from sentinel.service import about, hand

router = APIRouter(tags=["people"])


@router.get("/v1/users/{key:path}", response_model=UserView, dependencies=ASKED_IN_TURN)
def get_user(
    here: Here, caller: Reader, key: Annotated[Word, Path(max_length=LONGEST)], since: Since = None, until: Until = None
) -> Any:
    """Return the person a user key belongs to: linked identifiers, labels, decisions in force, and what it did."""
    now, store = here.clock(), here.store
    person = about.known_person(store, caller.app, hand.known_user(store, caller.app, "key", key))
    found = about.person(store, caller.app, person, whole(here, since, until), now)
    over = about.overruled(found.decisions, now)
    return person_view(person) | activity_view(found) | {
        "made": when(person.made or None), "labels": list(found.labels),
        "ips": shares_view(found.activity.shares["ips"]),
        "decisions": [decision_view(kept, now, over) for kept in found.decisions if kept.in_force(now)],
    }  # fmt: skip


class Deleted(Model):
    """A person who was deleted: what stands for them in what is kept, and how many events are gone."""

    pseudonym: str
    at: Moment
    events: int


@router.delete("/v1/users/{key:path}", response_model=Deleted)
def delete_user(
    here: Here, caller: Admin, key: Annotated[Word, Path(max_length=LONGEST)],
    why: Annotated[Word, Query(max_length=LONGEST)] = "",
) -> Any:  # fmt: skip
    """Delete a person: events, links and labels for good; blocks in force last to their end.

    Whatever else told of them keeps a hash, by which events of before are known and not taken again.
    """
    here.overview.require_windows()
    done = here.deleter.delete(caller.app, hand.user("key", key), caller.by, why, here.clock())
    return {"pseudonym": done.pseudonym, "at": when(done.at), "events": done.events}


@router.delete("/v1/links", response_model=Revision)
def cut_link(here: Here, caller: Admin, identifier: Annotated[Word, Query(min_length=1, max_length=LONGEST)]) -> Any:
    """Part an identifier from its person, for good."""
    key = hand.user("identifier", identifier)
    revision = here.store.people.cut(caller.app, key, caller.by, here.clock())
    if revision is None:
        raise not_found("link of", identifier, "it was linked to nobody, or is parted already")
    here.told(caller.app)
    return {"revision": revision}
