"""What the console is given by the composition root."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sentinel.core.record import App
from sentinel.sdk.options import Options
from sentinel.service.accounts import Accounts
from sentinel.service.explainer import Explainer
from sentinel.service.overview import Overview
from sentinel.service.ports import Store
from sentinel.service.processes import Processes
from sentinel.service.switch import Switch


@dataclass(frozen=True, slots=True)
class Context:
    """All of it. `channels` maps the name of each channel to its kind."""

    store: Store
    accounts: Accounts
    overview: Overview
    explainer: Explainer
    enforcement: Switch
    clock: Callable[[], int]
    told: Callable[[str], None]  # the decision list of an app has changed
    told_all: Callable[[], None]  # keys or switches have
    changed: Callable[[App], None]  # an app has
    processes: Processes  # of the apps, as their SDKs tell
    fault: Callable[[BaseException], None]
    tried: Callable[[str], None]  # to sign in: `in`, `wrong` or `slowed`
    channels: Mapping[str, str] = field(default_factory=dict)
    public_url: str | None = None
    proxies: Options = field(default_factory=Options)

    @property
    def secure(self) -> bool:
        """Whether people come by HTTPS, so that cookies and links must."""
        return (self.public_url or "").startswith("https://")
