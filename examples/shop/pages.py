"""How the shop reads forms and answers: a page for people, the same as JSON for programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import Depends, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

_MOST = 64 * 1024
_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=StrictUndefined,
    trim_blocks=True, lstrip_blocks=True,
)  # fmt: skip
_templates.filters["euros"] = lambda cents: f"€ {cents / 100:.2f}"


async def _fields(request: Request) -> dict[str, str]:
    body = await request.body()
    try:
        if len(body) > _MOST:
            return {}
        if request.headers.get("content-type", "").startswith("application/json"):
            given = json.loads(body)
            return {name: str(value).strip() for name, value in given.items()} if isinstance(given, dict) else {}
        return {name: value.strip() for name, value in parse_qsl(body.decode())}
    except ValueError:
        return {}


Fields = Annotated[dict[str, str], Depends(_fields)]


def page(request: Request, template: str, data: dict[str, Any], status: int = 200, **shown: Any) -> Response:
    """Answer with `data` as JSON, or with a page made of it and of what only a page shows."""
    if _wants_json(request):
        return JSONResponse(data, status)
    return HTMLResponse(_templates.get_template(template).render(**data, **shown), status)


def refuse(request: Request, template: str, status: int, code: str, message: str, **shown: Any) -> Response:
    """Answer that it did not work: the form again with a line that says why, or an error as JSON."""
    if _wants_json(request):
        return JSONResponse({"error": {"code": code, "message": message}}, status)
    return HTMLResponse(_templates.get_template(template).render(problem=message, **shown), status)


def go(request: Request, to: str, data: dict[str, Any]) -> Response:
    """Answer that it worked, and send people on."""
    return JSONResponse(data) if _wants_json(request) else RedirectResponse(to, 303)


def _wants_json(request: Request) -> bool:
    accept = request.headers.get("accept", "")
    return "application/json" in accept and "text/html" not in accept
