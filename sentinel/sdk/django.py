"""Sentinel for Django, synchronous and asynchronous: a class for MIDDLEWARE, after CORS, before authentication.

SENTINEL_CHALLENGE and SENTINEL_REFUSE in the settings name functions of (request, verdict) that return a response.
To have Django's own users identified, add `IdentifyUser` to MIDDLEWARE after authentication, and call `track_logins()`
in the `ready` of an AppConfig. SENTINEL_USER names a function of a user that returns identifiers.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from typing import Any, NamedTuple

from asgiref.sync import async_to_sync, iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import ResolverMatch
from django.utils.module_loading import import_string

from sentinel import sdk
from sentinel.core.decision import Verdict
from sentinel.sdk import wsgi
from sentinel.sdk.client import Client
from sentinel.sdk.context import Holder, current, leave
from sentinel.sdk.events import KEPT_BODY
from sentinel.sdk.respond import answering, ends, refusal

_OWN = {"challenge": "SENTINEL_CHALLENGE", "block": "SENTINEL_REFUSE"}


class SentinelMiddleware:
    """Enforces on the address as a request starts and on the user at `identify`; answers who is refused."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self._asynchronous = iscoroutinefunction(get_response)
        if self._asynchronous:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        """Serve one request."""
        if self._asynchronous:
            return self._asynchronously(request)
        client, holder = _begin(request)
        response = None
        token = current.set(holder)
        try:
            if holder.verdict is None:
                response = self.get_response(request)
        except BaseException as error:  # noqa: BLE001  raised again unless the request is refused
            _judge(client, holder, error)
        finally:
            leave(token)
        return _end(client, holder, request, response)

    async def _asynchronously(self, request: HttpRequest) -> HttpResponseBase:
        client, holder = _begin(request)
        response = None
        token = current.set(holder)
        try:
            if holder.verdict is None:
                response = await self.get_response(request)
        except BaseException as error:  # noqa: BLE001  raised again unless the request is refused
            _judge(client, holder, error)
        finally:
            leave(token)
        if holder.verdict is None:
            return _end(client, holder, request, response)
        return await sync_to_async(_end)(client, holder, request, response)  # a page of its own may ask the database


class IdentifyUser:
    """Identifies whoever is logged in before each view: a class for MIDDLEWARE, after authentication."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        """Pass a request on; in asynchronous mode, what is passed on is awaited outside."""
        return self.get_response(request)

    def process_view(self, request: HttpRequest, *view: Any) -> HttpResponse | None:
        """Identify the user; Django calls this in a thread where the database may be asked."""
        try:
            user = getattr(request, "user", None)
            found = identifiers(user) if user is not None and user.is_authenticated else None
        except Exception as error:  # noqa: BLE001  a view may do without the user, and without us
            sdk.current().failed("IdentifyUser", error)
            return None
        if found is not None:
            try:
                sdk.identify(found)
            except sdk.Blocked:
                return HttpResponse(status=403)  # ours follows; what cleans up after a response has one
        return None


def track_logins() -> None:
    """Have every login through Django's authentication tracked, and enforced on, whether it succeeds or fails."""
    user_logged_in.connect(_logged_in, dispatch_uid="sentinel")
    user_login_failed.connect(_login_failed, dispatch_uid="sentinel")


def identifiers(user: Any) -> dict[str, Any]:
    """Return the identifiers of one of Django's users."""
    own = getattr(settings, "SENTINEL_USER", None)
    if own:
        return dict(import_string(own)(user))
    email = getattr(user, user.get_email_field_name(), None) if hasattr(user, "get_email_field_name") else None
    found = {"id": user.pk, "email": email, _login_name(user): user.get_username()}
    return {name: value if isinstance(value, int) else str(value) for name, value in found.items() if value}


def _logged_in(sender: Any, user: Any, request: HttpRequest | None = None, **more: Any) -> None:
    try:
        found = identifiers(user)
    except Exception as error:  # noqa: BLE001  no login fails over it
        sdk.current().failed("track_logins", error)
        found = {}
    sdk.auth_track(True, found, request=request)


def _login_failed(sender: Any, credentials: dict[str, Any], request: HttpRequest | None = None, **more: Any) -> None:
    model = get_user_model()
    given = credentials.get(model.USERNAME_FIELD, credentials.get("username"))
    if given is not None:
        sdk.auth_track(False, {_login_name(model): str(given)}, request=request)


def _login_name(user: Any) -> str:
    return "email" if user.USERNAME_FIELD == "email" else "username"


class _Over(NamedTuple):
    """What is kept of a request that is over."""

    path: str
    resolver_match: ResolverMatch | None


class _About(wsgi.About):
    """A request described from its META, once an event needs it."""

    __slots__ = ("_request",)

    def __init__(self, request: HttpRequest) -> None:
        super().__init__(request.META)
        self._request: HttpRequest | _Over = request

    def body(self) -> bytes | None:
        read = getattr(self._request, "_body", None)  # only what the view has read: reading is the view's right
        return read[:KEPT_BODY] if isinstance(read, bytes) else None

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "path": self._request.path}

    def route(self) -> object:
        match = self._request.resolver_match
        return match.route if match else None

    def let_go(self) -> None:
        super().let_go()
        self._request = _Over(self._request.path, self._request.resolver_match)


def _begin(request: HttpRequest) -> tuple[Client, Holder]:
    client = sdk.current()
    client.ensure_running()
    about = _About(request)
    try:
        holder = Holder(wsgi.address_of(request.META, client), request.path, about)
        client.judge_address(holder)
    except Exception as error:  # noqa: BLE001  what we cannot judge goes on
        client.failed("the request", error)
        holder = Holder(None, request.path, about)
    request.META["sentinel.request"] = holder
    return client, holder


def _judge(client: Client, holder: Holder, error: BaseException) -> None:
    """Let an exception end here if the request is refused; raise it again otherwise."""
    if not ends(holder, error):
        client.finished(holder)
        raise error


def _end(client: Client, holder: Holder, request: HttpRequest, response: HttpResponseBase | None) -> HttpResponseBase:
    verdict = holder.start()
    if verdict is None:
        assert response is not None
        holder.complete(response.status_code)
        if isinstance(response, StreamingHttpResponse) and getattr(response, "file_to_stream", None) is None:
            within: Any = _within_async if response.is_async else _within
            response.streaming_content = within(holder, response.streaming_content)
    else:
        if response is not None:
            response.close()
        response = _own_answer(client, holder, request, verdict)
        if response is None:
            verdict = holder.verdict or verdict
            response = _answer(client, holder, verdict)
        holder.complete(response.status_code)
        client.enforced(holder, verdict, response.status_code)
    client.finished(holder)
    return response


def _within(holder: Holder, pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Make each piece of a streamed answer in the context of its request, which Django has left by then."""
    turns = iter(pieces)
    while True:
        token = current.set(holder)
        try:
            piece = next(turns)
        except StopIteration:
            return
        finally:
            leave(token)
        yield piece


async def _within_async(holder: Holder, pieces: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    turns = aiter(pieces)
    while True:
        token = current.set(holder)
        try:
            piece = await anext(turns)
        except StopAsyncIteration:
            return
        finally:
            leave(token)
        yield piece


def _own_answer(client: Client, holder: Holder, request: HttpRequest, verdict: Verdict) -> HttpResponseBase | None:
    """Return what the project's own function answers; None where there is none, or it failed."""
    name = getattr(settings, _OWN.get(verdict.kind, ""), None)
    if not name:
        return None
    answer = None
    with answering(client, holder):
        own = import_string(name)
        made: object = (async_to_sync(own) if iscoroutinefunction(own) else own)(request, verdict)
        if not isinstance(made, HttpResponseBase):
            raise TypeError(f"`{name}` returned no response")
        render = getattr(made, "render", None)
        answer = made if render is None else render()  # a template's answer: of middleware, Django renders none
    return answer if holder.verdict is verdict else None


def _answer(client: Client, holder: Holder, verdict: Verdict) -> HttpResponseBase:
    answer = refusal(verdict, holder.about.header("accept"), client.options)
    made = HttpResponse(answer.body, status=answer.status)
    for header, value in answer.headers:
        made[header] = value
    return made
