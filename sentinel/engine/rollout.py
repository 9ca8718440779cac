"""A roll-out in percent: which groups a playbook acts on before it acts on all of them.

A stable hash of playbook and group decides: every process and every restart agrees, a larger share includes all groups
of a smaller one, and two playbooks begin with different groups.
"""

from __future__ import annotations

from fractions import Fraction
from hashlib import blake2b

_WHOLE = 1 << 64


class Share:
    """A share of a playbook's groups, in percent."""

    __slots__ = ("_below", "_name")

    def __init__(self, playbook: str, percent: int | float) -> None:
        self._name = playbook.encode() + b"\0"
        self._below = int(Fraction(str(percent)) / 100 * _WHOLE)

    def holds(self, key: str) -> bool:
        """Say whether a group is among those acted on."""
        name = self._name + key.encode("utf-8", "surrogatepass")
        return int.from_bytes(blake2b(name, digest_size=8).digest(), "big") < self._below
