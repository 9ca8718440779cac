"""`python -m examples.shop`: serve the shop at an address of this machine."""

from __future__ import annotations

import argparse
import socket

import uvicorn


def main() -> None:
    """Listen, say where, and serve until a signal."""
    parser = argparse.ArgumentParser(prog="shop", description="A small pottery shop, protected by Sentinel.")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen at [%(default)s]")
    parser.add_argument("--port", type=int, default=8000, help="the port, 0 for any free one [%(default)s]")
    given = parser.parse_args()
    with socket.create_server((given.host, given.port)) as listening:
        print(f"The shop is open at http://{given.host}:{listening.getsockname()[1]}", flush=True)
        # Whose word is taken on addresses is said once, to the SDK: hence no `proxy_headers` here.
        config = uvicorn.Config(f"{__package__}.app:app", proxy_headers=False, access_log=False, log_level="warning")
        uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main()
