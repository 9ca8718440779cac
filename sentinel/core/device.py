"""An id for a device whose events name none: a fingerprint of what its browser always sends."""

from __future__ import annotations

from hashlib import blake2b


def fingerprint(user_agent: str | None, accept_language: str | None = None) -> str | None:
    """Return 16 hexadecimal digits for a user agent and accept-language, or None without a user agent."""
    if not user_agent:
        return None
    text = f"{user_agent}\n{accept_language or ''}"
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
