"""Who is logged in and what is in the cart: a cookie that its reader can read and not change."""

from __future__ import annotations

import base64
import hmac
import json
import os
import secrets
from dataclasses import asdict, dataclass, field

from fastapi import Request, Response

NAME = "shop_session"
_SECRET = os.environ.get("SHOP_SECRET", "").encode() or secrets.token_bytes(32)


@dataclass
class Session:
    """A visitor's; `account` is the id of whoever logged in."""

    account: str | None = None
    cart: dict[str, int] = field(default_factory=dict)


def read(request: Request) -> Session:
    """Return the session of a request's cookie; a new one where there is none or its signature is wrong."""
    data, _, signature = request.cookies.get(NAME, "").partition(".")
    if not data or not hmac.compare_digest(signature.encode(), _sign(data).encode()):
        return Session()
    return Session(**json.loads(base64.urlsafe_b64decode(data + "==")))


def write(response: Response, session: Session) -> Response:
    """Hand a session to the visitor."""
    data = base64.urlsafe_b64encode(json.dumps(asdict(session)).encode()).decode().rstrip("=")
    response.set_cookie(NAME, f"{data}.{_sign(data)}", max_age=7 * 86_400, httponly=True, samesite="lax")
    return response


def _sign(data: str) -> str:
    return hmac.digest(_SECRET, data.encode(), "sha256").hex()
