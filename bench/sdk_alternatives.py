"""What the SDK adds to a request to FastAPI, beside what a team would use instead; and what importing each costs.

    python bench/sdk_alternatives.py

Each contender runs in a process of its own, in turns, around the same application, without a server between. `limits`
and `slowapi` count requests in the process. `aikido_zen` and `ddtrace` are agents that patch the interpreter; they are
measured where they are installed, without an account and with nobody to report to. Times are of the processor, in all
threads of a process: others on the machine count less.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

REQUESTS, ROUNDS = 4_000, 4
HEADERS = [(b"host", b"shop.example"), (b"user-agent", b"Browser/1.0"), (b"accept", b"*/*")]
SCOPE = {
    "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
    "root_path": "", "query_string": b"", "headers": HEADERS,
    "client": ("203.0.113.9", 4711), "server": ("127.0.0.1", 80),
}  # fmt: skip


def application() -> Any:
    from fastapi import FastAPI

    app = FastAPI()

    @app.get("/orders")
    async def orders() -> dict[str, str]:
        return {"hello": "world"}

    return app


def bare() -> Any:
    return application()


def sentinel() -> Any:
    from sentinel import sdk
    from sentinel.sdk import testing
    from sentinel.sdk.fastapi import protect

    made = testing.capture()
    captured = made.__enter__()
    captured.decide("block", network="198.51.100.0/24")
    captured.decide("block", user="somebody else")
    app = application()
    protect(app)

    @app.get("/orders/mine")
    async def mine() -> dict[str, str]:
        sdk.identify({"id": 42})
        return {"hello": "world"}

    return app


def sentinel_identify() -> Any:
    return sentinel()


def limits() -> Any:
    from limits import RateLimitItemPerMinute
    from limits.storage import MemoryStorage
    from limits.strategies import FixedWindowRateLimiter

    limiter, allowed = FixedWindowRateLimiter(MemoryStorage()), RateLimitItemPerMinute(1_000_000)
    inner = application()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if limiter.hit(allowed, scope["client"][0]):
            await inner(scope, receive, send)

    return app


def slowapi() -> Any:
    from slowapi import Limiter
    from slowapi.middleware import SlowAPIASGIMiddleware
    from slowapi.util import get_remote_address

    app = application()
    app.state.limiter = Limiter(key_func=get_remote_address, default_limits=["1000000/minute"])
    app.add_middleware(SlowAPIASGIMiddleware)
    return app


def aikido_zen() -> Any:
    os.environ |= {"AIKIDO_BLOCK": "1"}
    import aikido_zen as agent

    agent.protect()
    from aikido_zen.middleware import AikidoFastAPIMiddleware

    app = application()
    app.add_middleware(AikidoFastAPIMiddleware)
    return app


def ddtrace() -> Any:
    os.environ |= {
        "DD_APPSEC_ENABLED": "true", "DD_TRACE_AGENT_URL": "http://127.0.0.1:9", "DD_TRACE_STARTUP_LOGS": "0",
        "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "0", "DD_REMOTE_CONFIGURATION_ENABLED": "false",
    }  # fmt: skip
    import ddtrace.auto  # noqa: F401  as its `ddtrace-run` does

    return application()


CONTENDERS: dict[str, Callable[[], Any]] = {
    one.__name__: one for one in (bare, sentinel, sentinel_identify, limits, slowapi, aikido_zen, ddtrace)
}


def measure(name: str) -> float:
    """Return the microseconds of a request, the best of some rounds."""
    app, path = CONTENDERS[name](), "/orders/mine" if name == "sentinel_identify" else "/orders"
    statuses = set()

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        statuses.add(message.get("status", 200))

    async def run() -> float:
        best = 9e9
        for _ in range(12):
            began = time.process_time()
            for _ in range(REQUESTS // 10):
                await app({**SCOPE, "path": path, "raw_path": path.encode()}, receive, send)
            best = min(best, (time.process_time() - began) / (REQUESTS // 10) * 1e6)
        return best

    best = asyncio.run(run())
    if statuses != {200}:
        raise SystemExit(f"{name} answered {statuses}")
    return best


def child(code: list[str]) -> float | None:
    done = subprocess.run([sys.executable, *code], capture_output=True, text=True, timeout=120, check=False)
    with contextlib.suppress(ValueError, IndexError):
        return float(done.stdout.split()[-1])
    return None


def requests() -> None:
    """Compare requests."""
    best: dict[str, float] = {}
    for _ in range(ROUNDS):
        for name in CONTENDERS:
            took = child([__file__, name])
            if took is not None:
                best[name] = min(best.get(name, 9e9), took)
    for name in CONTENDERS:
        if name not in best:
            print(f"{name}: not measured, not installed")
        elif name != "bare":
            added = best[name] - best["bare"]
            print(f"{name}: +{added:.1f} µs a request (bare {best['bare']:.0f}, ratio {best[name] / best['bare']:.2f})")


def imports() -> None:
    """Compare imports, each in an interpreter of its own."""
    for name in ("sentinel.sdk", "sentinel.sdk.asgi", "limits", "slowapi", "aikido_zen", "ddtrace"):
        code = f"import time; t = time.process_time(); import {name}; print((time.process_time() - t) * 1e3)"
        took = [one for one in (child(["-c", code]) for _ in range(7)) if one is not None]
        print(f"import {name}: " + (f"{min(took):.0f} ms" if took else "not installed"))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(measure(sys.argv[1]))
        sys.stdout.flush()
        os._exit(0)  # whatever an agent has running
    requests()
    imports()
