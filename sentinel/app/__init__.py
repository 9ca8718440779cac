"""The composition root: the one place where concrete parts are named and put together, started and stopped.

What a part does is its own; what can be set is `settings`'.
"""

from sentinel.app.server import Server, open_server

__all__ = ["Server", "open_server"]
