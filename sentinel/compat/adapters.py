"""Which foreign protocols there are."""

from __future__ import annotations

from collections.abc import Mapping

from sentinel.compat import crowdsec
from sentinel.compat.adapter import Adapter
from sentinel.edge.protocols import KeyForms

ADAPTERS: Mapping[str, Adapter] = {
    "crowdsec": crowdsec.ADAPTER,
}
KEY_FORMS: KeyForms = {name: adapter.keys for name, adapter in ADAPTERS.items()}
