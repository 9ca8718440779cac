"""A shop in Starlette behind moesifasgi: who asks stands in X-User and X-Company.

This client asks for its configuration once a minute and no sooner; its scheduler's minute is a second here.
"""

import os
import socket

import moesifapi.workers
import uvicorn
from apscheduler.triggers.interval import IntervalTrigger
from moesifasgi import MoesifMiddleware
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

moesifapi.workers.IntervalTrigger = lambda seconds: IntervalTrigger(seconds=min(seconds, 1))


def orders(request):
    return JSONResponse({"ok": True})


def profile(request):
    site.update_user({"user_id": "alice", "company_id": "acme", "metadata": {"first.name": "Alice"}})
    site.update_users_batch([{"user_id": "carol"}])
    site.update_company({"company_id": "acme", "company_domain": "acme.test"})
    return JSONResponse({"ok": True})


site = MoesifMiddleware(
    Starlette(routes=[Route("/orders", orders), Route("/profile", profile)]),
    {
        "APPLICATION_ID": os.environ["SENTINEL_KEY"],
        "BASE_URI": os.environ["SENTINEL_URL"],
        "IDENTIFY_USER": lambda request, response: request.headers.get("x-user"),
        "IDENTIFY_COMPANY": lambda request, response: request.headers.get("x-company"),
        "GET_METADATA": lambda request, response: {"so.me_str.ing": "I am a string"},
    },
)
listening = socket.create_server(("127.0.0.1", 0))
print(listening.getsockname()[1], flush=True)
uvicorn.Server(uvicorn.Config(site, log_level="error")).run(sockets=[listening])
