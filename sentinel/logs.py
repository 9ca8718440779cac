"""How the server logs: lines of JSON or for a terminal, on standard error, and never a secret."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

_SECRET = ("secret", "token", "password", "passwd", "authorization", "cookie", "credential")
_HIDDEN = "<hidden>"


def configure(form: str, level: str) -> None:
    """Let structlog and the standard library's logging write one form; `auto` is for a terminal where there is one."""
    # A traceback that shows local variables would show passwords and keys.
    console = sys.stderr.isatty() if form == "auto" else form == "console"
    shared: list[structlog.types.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        hide,
    ]
    last: list[structlog.types.Processor] = (
        [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)]
        if console
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last]
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    logging.getLogger("apscheduler").setLevel(logging.ERROR)  # a job that is still at work is no news
    for loud in ("alembic", "asyncio", "uvicorn"):
        logging.getLogger(loud).setLevel(logging.WARNING)


def hide(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace values whose name says that they are secret, nested ones too."""
    return {name: _shown(name, value) for name, value in line.items()}


def _shown(name: str, value: Any) -> Any:
    if any(word in name.lower() for word in _SECRET):
        return _HIDDEN
    if isinstance(value, dict):
        return {key: _shown(str(key), one) for key, one in value.items()}
    return value
