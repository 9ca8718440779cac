"""The composition root: the one place that names concrete classes, puts them together, starts and stops them.

What can be set is in `settings`.
"""

from sentinel.app.server import Server, open_server

__all__ = ["Server", "open_server"]
