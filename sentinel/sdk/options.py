"""The options given to `start`, frozen. This is the only place in the SDK that reads the environment.

An option that makes no sense is left out with a warning: no setting may keep an application from starting.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypedDict
from urllib.parse import urlsplit

from sentinel.core import address, identity
from sentinel.core.proxies import Network

Warn = Callable[[str], None]

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # of a header
_OFF = ("off", "0", "false", "no")
_ON = ("on", "1", "true", "yes")


class Settings(TypedDict, total=False):
    """What `start` takes beside `url` and `key`, for type checkers; None is as if it were left out."""

    enforce: bool | str | None
    snapshot: str | os.PathLike[str] | None
    trusted_proxies: int | str | Iterable[str | Network] | None
    forwarded_header: str | None
    identifiers: Iterable[str] | None
    redact: Iterable[str] | None
    pseudonym_key: str | bytes | bytearray | None
    exempt: Iterable[str] | None
    block_status: int | None
    block_page: str | bytes | None
    block_headers: Mapping[str, str] | Iterable[tuple[str, str]] | None
    flush_interval: float | None
    flush_count: int | None
    buffer_size: int | None
    buffer_bytes: int | None
    poll_interval: float | None
    silence: float | None
    timeout: float | None
    startup_wait: float | None
    exit_wait: float | None
    retry_base: float | None
    retry_limit: float | None
    refused_wait: float | None
    report_interval: float | None
    allow_plain_http: bool | str | None
    ca_file: str | os.PathLike[str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Times in seconds, sizes in bytes. docs/sdk.md says what each is for."""

    url: str | None = None
    key: str | None = field(default=None, repr=False)
    enforce: bool = True
    snapshot: str | None = None
    trusted_proxies: tuple[Network, ...] = ()
    proxy_hops: int = 0
    forwarded_header: str | None = None
    identifiers: tuple[str, ...] = identity.DEFAULT_ORDER
    redact: tuple[str, ...] = ()
    pseudonym_key: bytes | None = field(default=None, repr=False)
    exempt: tuple[str, ...] = ()
    block_status: int = 403
    block_page: str | None = None
    block_headers: tuple[tuple[str, str], ...] = ()
    flush_interval: float = 1.0
    flush_count: int = 100
    buffer_size: int = 10_000
    buffer_bytes: int = 32 * 1024 * 1024
    poll_interval: float = 5.0
    silence: float = 25.0
    timeout: float = 5.0
    startup_wait: float = 1.0
    exit_wait: float = 1.0
    retry_base: float = 0.5
    retry_limit: float = 30.0
    refused_wait: float = 60.0
    report_interval: float = 60.0
    allow_plain_http: bool = False
    ca_file: str | None = None

    @property
    def connected(self) -> bool:
        """Whether there is a server to talk to."""
        return self.url is not None and self.key is not None


def read(given: Mapping[str, Any], warn: Warn, environ: Mapping[str, str] | None = None) -> Options:
    """Return the options of a call of `start`, completed from SENTINEL_* in the environment."""
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    for name, reader in _READERS.items():
        for value in (given.get(name), environ.get(_VARIABLES.get(name, "")) or None):
            if value is None:
                continue
            try:
                values |= reader(value)
                break
            except Exception as error:  # noqa: BLE001  whatever an object does that cannot be meant
                warn(f"the setting `{name}` is left out: {told(error)}")
    if environ.get("SENTINEL_ENFORCE", "").strip().lower() in _OFF:
        values["enforce"] = False
    if environ.get("FORWARDED_ALLOW_IPS", "").strip() == "*":
        warn("FORWARDED_ALLOW_IPS=* lets everybody choose the address they come from (name your proxies instead)")
    options = Options(**values)
    return _speakable(options, warn)


def told(error: BaseException) -> str:
    """Return what an error says of itself, which may be an error again, bounded."""
    try:
        return str(error)[:200]
    except Exception:  # noqa: BLE001  a stranger's code
        return type(error).__name__


def _speakable(options: Options, warn: Warn) -> Options:
    if not options.connected:
        missing = " and ".join(name for name in ("url", "key") if getattr(options, name) is None)
        warn(f"no {missing}: events wait in memory and nothing is enforced (set SENTINEL_URL and SENTINEL_KEY)")
        return options
    parts = urlsplit(options.url or "")
    if parts.scheme == "http" and not address.is_loopback(parts.hostname or "") and not options.allow_plain_http:
        warn(f"the key is not sent over plain HTTP to `{parts.hostname}` (use https, or set allow_plain_http=True)")
        return _without_server(options)
    return options


def _without_server(options: Options) -> Options:
    values = {name: getattr(options, name) for name in Options.__slots__}
    return Options(**(values | {"url": None}))


def _url(value: Any) -> dict[str, Any]:
    text = str(value).strip()
    try:
        parts = urlsplit(text)
        whole = text.isascii() and "@" not in text and parts.port != 0
    except ValueError:
        whole = False
    if not whole:  # whose pieces may be those of a password
        raise ValueError("not an address such as `https://sentinel.example`")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"`{parts.scheme}://{parts.hostname}` is not an address such as `https://sentinel.example`")
    return {"url": f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"}


def _key(value: Any) -> dict[str, Any]:
    text = str(value).strip()
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("a key is printable ASCII without spaces")  # and what it is stays out of the logs
    return {"key": text}


def _flag(name: str) -> Callable[[Any], dict[str, Any]]:
    def reader(value: Any) -> dict[str, Any]:
        text = str(value).strip().lower()
        if text not in _ON + _OFF:
            raise ValueError(f"`{text[:20]}` is neither `on` nor `off`")
        return {name: text in _ON}

    return reader


def _number(name: str, least: float, kind: type, past: float = 1e6) -> Callable[[Any], dict[str, Any]]:
    def reader(value: Any) -> dict[str, Any]:
        number = kind(value)
        if not least <= number < past:
            raise ValueError(f"`{number}` is below {least:g} or too large")
        return {name: number}

    return reader


def _proxies(value: Any) -> dict[str, Any]:
    """Read networks, or a number of hops."""
    if isinstance(value, bool):
        raise TypeError("neither networks nor a number of hops")
    if isinstance(value, int) or (isinstance(value, str) and value.strip().isdigit()):
        if not 0 <= int(value) <= 16:
            raise ValueError(f"`{value}` is no number of hops")
        return {"proxy_hops": int(value), "trusted_proxies": ()}
    texts = value.replace(",", " ").split() if isinstance(value, str) else value
    return {"trusted_proxies": tuple(address.network(str(text)) for text in texts)}


def _forwarded(value: Any) -> dict[str, Any]:
    name = str(value).strip().lower()
    if name not in ("forwarded", "x-forwarded-for"):
        raise ValueError(f"`{name[:40]}` is neither `forwarded` nor `x-forwarded-for`")
    return {"forwarded_header": name}


def _texts(name: str) -> Callable[[Any], dict[str, Any]]:
    def reader(value: Iterable[Any]) -> dict[str, Any]:
        return {name: (value,) if isinstance(value, str) else tuple(str(one) for one in value)}

    return reader


def _exempt(value: Any) -> dict[str, Any]:
    paths = (value,) if isinstance(value, str) else tuple(str(one) for one in value)
    for path in paths:
        if not path.startswith("/"):  # what is empty would let everybody through
            raise ValueError(f"`{path[:40]}` is no path such as `/verify`")
    return {"exempt": tuple(path.rstrip("/") or "/" for path in paths)}


def _secret(value: Any) -> dict[str, Any]:
    if not isinstance(value, (str, bytes, bytearray)):  # of a number, Python makes as many zeros
        raise TypeError("neither a text nor bytes")
    secret = value.encode() if isinstance(value, str) else bytes(value)
    if len(secret) < 16:
        raise ValueError("shorter than 16 bytes")
    return {"pseudonym_key": secret}


def _headers(value: Any) -> dict[str, Any]:
    pairs = value.items() if isinstance(value, Mapping) else value
    found = tuple((str(name), str(text)) for name, text in pairs)
    for name, text in found:
        if _NAME.fullmatch(name) is None or not text.isascii() or not text.isprintable():
            raise ValueError(f"`{name[:40]}` is no header")
        if name.lower() in ("content-length", "transfer-encoding"):
            raise ValueError(f"`{name}` is not the application's to say")
    return {"block_headers": found}


def _text(name: str) -> Callable[[Any], dict[str, Any]]:
    return lambda value: {name: os.fsdecode(value)}


def _path(name: str) -> Callable[[Any], dict[str, Any]]:
    def reader(value: Any) -> dict[str, Any]:
        path = os.fsdecode(value)
        if b"\0" in os.fsencode(path):
            raise ValueError("no file has such a name")
        return {name: path}

    return reader


_RETRIES = ("retry_base", "retry_limit")
_VARIABLES = {
    "url": "SENTINEL_URL",
    "key": "SENTINEL_KEY",
    "snapshot": "SENTINEL_SNAPSHOT",
    "trusted_proxies": "SENTINEL_TRUSTED_PROXIES",
    "forwarded_header": "SENTINEL_FORWARDED_HEADER",
    "pseudonym_key": "SENTINEL_PSEUDONYM_KEY",
    "allow_plain_http": "SENTINEL_ALLOW_PLAIN_HTTP",
    "ca_file": "SENTINEL_CA_FILE",
}
_READERS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "url": _url,
    "key": _key,
    "enforce": _flag("enforce"),
    "allow_plain_http": _flag("allow_plain_http"),
    "trusted_proxies": _proxies,
    "forwarded_header": _forwarded,
    "identifiers": _texts("identifiers"),
    "redact": _texts("redact"),
    "exempt": _exempt,
    "pseudonym_key": _secret,
    "block_headers": _headers,
    "block_status": _number("block_status", 400, int, 600),
    "snapshot": _path("snapshot"),
    "ca_file": _path("ca_file"),
    "block_page": _text("block_page"),
    **{
        name: _number(name, 0.01, float)
        for name in ("flush_interval", "poll_interval", "report_interval", "silence", "timeout", *_RETRIES)
    },
    **{name: _number(name, 0, float) for name in ("startup_wait", "exit_wait", "refused_wait")},
    **{name: _number(name, 1, int, 1e12) for name in ("flush_count", "buffer_size", "buffer_bytes")},
}
