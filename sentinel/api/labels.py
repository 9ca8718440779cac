"""/v1/labels: labels on users and addresses, put on by playbooks or by hand, which conditions can ask for."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field

from sentinel.api.context import Admin, Here, Reader
from sentinel.api.models import LabelView, Length, Listing, Model, Moment
from sentinel.api.parts import LONGEST, Cursor, Limit, Word
from sentinel.api.views import label_view, listing
from sentinel.core.batch import Label, LabelKind
from sentinel.core.record import KeptLabel
from sentinel.edge.errors import not_found
from sentinel.service.hand import bearer, until

router = APIRouter(tags=["labels"])
Target = Annotated[Word, Query(min_length=1, max_length=LONGEST)]
Name = Annotated[Word, Query(min_length=1, max_length=64)]


class NewLabel(Model):
    """A label by hand, in place of the one of its name. `for` or `until` says how long; without either for ever.

    `target` is a user key (`id:42`, or `42`) or an address; an address of IPv6 stands for its network.
    """

    kind: LabelKind
    target: Annotated[Word, Field(min_length=1, max_length=LONGEST)]
    name: Annotated[Word, Field(min_length=1, max_length=64)]
    for_: Length | None = Field(None, alias="for")
    until: Moment | None = None


@router.get("/v1/labels", response_model=Listing[LabelView])
def list_labels(
    here: Here, caller: Reader, kind: LabelKind | None = None, target: Target | None = None, name: Name | None = None,
    all: Annotated[bool, Query(description="Also those that are over.")] = False,
    limit: Limit = 50, cursor: Cursor = None,
) -> Any:  # fmt: skip
    """Return labels, newest first. A `target` is read as the `kind` says, as a user where it says nothing."""
    wanted = None if target is None else bearer(here.store, caller.app, kind or "user", target)
    now = None if all else here.clock()
    page = here.store.labels.list(
        caller.app, now=now, kind="user" if target and kind is None else kind, target=wanted, name=name,
        limit=limit, cursor=cursor, counted=True,
    )  # fmt: skip
    return listing(page, label_view)


@router.post("/v1/labels", response_model=LabelView, status_code=201)
def put_label(here: Here, caller: Admin, new: NewLabel) -> Any:
    """Put a label on a user or an address; the next event sees it."""
    now = here.clock()
    target = bearer(here.store, caller.app, new.kind, new.target)
    label = Label(new.kind, target, new.name, until(new.for_, new.until, now), by=caller.by)
    here.store.labels.put(caller.app, label, caller.by, now)
    return label_view(KeptLabel(label, now))


@router.delete("/v1/labels", status_code=204)
def take_label(here: Here, caller: Admin, kind: LabelKind, target: Target, name: Name) -> None:
    """Take a label off."""
    known = bearer(here.store, caller.app, kind, target)
    if not here.store.labels.take(caller.app, kind, known, name, caller.by, here.clock()):
        raise not_found("label", name, "it is not on them, or no longer")
