"""How the server logs: lines of JSON, or for a terminal, on standard error, and never a secret."""

from __future__ import annotations

import io
import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog
from structlog.typing import ExcInfo

_SECRET = ("secret", "token", "password", "passwd", "authorization", "cookie", "credential")
_HIDDEN = "<hidden>"
_ODD = re.compile("[^\\S ]|[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def configure(form: str, level: str) -> None:
    """Let structlog and the standard library's logging write one form; `auto` is for a terminal where there is one."""
    # A traceback that shows local variables would show passwords and keys.
    console = sys.stderr.isatty() if form == "auto" else form == "console"
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        hide,
    ]
    last: list[structlog.types.Processor] = (
        [plain, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=_traceback)]
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
    for loud in ("alembic", "asyncio", "uvicorn"):
        logging.getLogger(loud).setLevel(logging.WARNING)


def hide(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace values whose name says that they are secret, nested ones too."""
    return {name: _shown(name, value) for name, value in line.items()}


def plain(_logger: Any, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Write out what a terminal would obey: values may be a stranger's, and each line is one line of ours."""
    return {_ODD.sub(_escaped, name): _written(value) for name, value in line.items()}


def _written(value: Any) -> Any:
    return _ODD.sub(_escaped, value) if isinstance(value, str) else value


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


def _traceback(out: TextIO, info: ExcInfo) -> None:
    """Write a traceback whose every line is set in, so that none is taken for a line of the log."""
    text = io.StringIO()
    structlog.dev.plain_traceback(text, info)
    out.writelines(f"\n    {_written(line)}" for line in text.getvalue().split("\n") if line)


def _shown(name: str, value: Any) -> Any:
    if any(word in name.lower() for word in _SECRET):
        return _HIDDEN
    if isinstance(value, dict):
        return {key: _shown(str(key), one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        several = (_shown("", one) for one in value)
        return list(several) if isinstance(value, list) else tuple(several)  # what was raised is told by a tuple
    return value
