"""Which foreign protocols there are."""

from __future__ import annotations

from collections.abc import Mapping

from sentinel.compat import crowdsec, logtrace, seismo, sqreen
from sentinel.compat.adapter import Adapter
from sentinel.compat.exceptionless import routes as exceptionless
from sentinel.compat.moesif import routes as moesif
from sentinel.edge.protocols import KeyForms

ADAPTERS: Mapping[str, Adapter] = {
    "crowdsec": crowdsec.ADAPTER,
    "exceptionless": exceptionless.ADAPTER,
    "logtrace": logtrace.ADAPTER,
    "moesif": moesif.ADAPTER,
    "seismo": seismo.ADAPTER,
    "sqreen": sqreen.ADAPTER,
}
KEY_FORMS: KeyForms = {name: adapter.keys for name, adapter in ADAPTERS.items()}
