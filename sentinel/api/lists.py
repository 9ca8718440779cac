"""/v1/blocklist.*: who is blocked, as text that firewalls and proxies read from a file or a URL."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

from fastapi import APIRouter, Request, Response

from sentinel.api.context import LISTED_IN_TURN, Here, Listener
from sentinel.core.decision import Place
from sentinel.service.bans import Table

router = APIRouter(tags=["decisions"])
_TEXT: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/plain": {}}, "description": "One address or network a line."},
    304: {"description": "It is what `If-None-Match` names."},
}


class Form(NamedTuple):
    """How a line is written, and what the file is for."""

    line: Callable[[str], str]
    help: str


FORMS: Mapping[str, Form] = {
    "txt": Form(lambda place: f"{place}\n", "one a line, as firewalls read lists of addresses"),
    "nginx": Form(lambda place: f"{place} 1;\n", "lines for nginx: `geo $blocked { default 0; include …; }`"),
    "haproxy": Form(lambda place: f"{place} block\n", "a map for HAProxy: `src,map_ip(…)`"),
}


@router.get("/v1/blocklist.txt", response_class=Response, responses=_TEXT, dependencies=LISTED_IN_TURN)
def get_blocklist(request: Request, here: Here, caller: Listener) -> Response:
    """Give the blocked addresses and networks, one a line."""
    return _answer(request, here.bans.table(caller.app), "txt")


@router.get("/v1/blocklist.nginx", response_class=Response, responses=_TEXT, dependencies=LISTED_IN_TURN)
def get_blocklist_for_nginx(request: Request, here: Here, caller: Listener) -> Response:
    """Give the blocked addresses and networks as lines for a `geo` block of nginx."""
    return _answer(request, here.bans.table(caller.app), "nginx")


@router.get("/v1/blocklist.haproxy", response_class=Response, responses=_TEXT, dependencies=LISTED_IN_TURN)
def get_blocklist_for_haproxy(request: Request, here: Here, caller: Listener) -> Response:
    """Give the blocked addresses and networks as a map of HAProxy."""
    return _answer(request, here.bans.table(caller.app), "haproxy")


def _answer(request: Request, table: Table, form: str) -> Response:
    """Answer with the list, or with 304 to who has it already."""
    data = "".join(map(FORMS[form].line, places(table))).encode()
    tag = f'"{blake2b(data, digest_size=12).hexdigest()}"'
    headers = {"etag": tag, "cache-control": "private, no-cache"}
    held = {one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")}
    if held & {tag, "*"}:
        return Response(status_code=304, headers=headers)
    return Response(data, media_type="text/plain; charset=utf-8", headers=headers)


def places(table: Table) -> list[str]:
    """Return the blocked addresses and networks in the order of numbers, each in its one spelling."""
    blocked = [one for one, ban in list(table.bans.items()) if isinstance(one, Place) and ban.kind == "block"]
    found = sorted(blocked, key=lambda one: (one.version, one.first, one.length))
    return [str(one).partition("/")[0] if one.alone else str(one) for one in found]
