"""Django, synchronous and asynchronous, served for real: a refused user leaves nothing behind."""

from __future__ import annotations

import asyncio
import gc
import tempfile
import threading
import weakref
from urllib.parse import urlencode

import pytest

from sentinel import sdk
from sentinel.core.decision import Decision
from tests.sdk import serving
from tests.sdk.conftest import decide, known

pytest.importorskip("django")

import django
from django.conf import settings
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse

from sentinel.sdk import testing
from sentinel.sdk.django import SentinelMiddleware, identifiers, track_logins

if not settings.configured:
    folder = tempfile.TemporaryDirectory(prefix="sentinel-django-")  # gone with the module
    settings.configure(
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        SECRET_KEY="only for tests",  # nosec
        MIDDLEWARE=[
            f"{__name__}.outer",
            "sentinel.sdk.django.SentinelMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "sentinel.sdk.django.IdentifyUser",
            f"{__name__}.between",
            f"{__name__}.inner",
        ],
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
        PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{folder.name}/shop.sqlite3"}},
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "OPTIONS": {"loaders": [("django.template.loaders.locmem.Loader", {"ask.html": "{{ reference }}"})]},
            }
        ],
        USE_TZ=True,
    )
    django.setup()
    track_logins()

from django.contrib import auth
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.template.response import TemplateResponse
from django.urls import path

went_on: list[str] = []
closed: list[str] = []
under_way: list[str] = []


def outer(get_response):
    def middleware(request):
        response = get_response(request)
        response["X-Outer"] = "1"
        return response

    return middleware


def between(get_response):
    def middleware(request):
        under_way.append(request.path)
        response = get_response(request)
        under_way.pop()  # no `finally`: by Django's manual a middleware gets a response whatever a view raises
        return response

    return middleware


def inner(get_response):
    def middleware(request):
        try:
            return get_response(request)
        except Exception:
            went_on.append("swallowed")
            return HttpResponse(status=500)

    return middleware


def plain(request, user):
    sdk.track("viewed", request=request)
    sdk.identify({"id": user})
    went_on.append(user)
    return JsonResponse({"user": user})


async def asynchronous(request, user):
    await asyncio.to_thread(sdk.identify, {"id": user})
    went_on.append(user)
    return JsonResponse({"user": user})


def swallows(request, user):
    try:
        sdk.identify({"id": user})
    except BaseException:
        secret = HttpResponse("secret")
        secret.close = lambda: closed.append(user)
        return secret
    return JsonResponse({"user": user})


def streams(request, user):
    def pieces():
        yield b"one"
        sdk.identify({"id": user})
        yield b"two"

    return StreamingHttpResponse(pieces())


def fails(request, user):
    raise KeyError(user)


def login_view(request):
    user = auth.authenticate(request, username=request.POST["name"], password=request.POST["password"])
    if user is None:
        return HttpResponse(status=401)
    auth.login(request, user)
    return JsonResponse({"hello": user.username})


async def login_async(request):
    user = await auth.aauthenticate(request, username=request.POST["name"], password=request.POST["password"])
    if user is None:
        return HttpResponse(status=401)
    await auth.alogin(request, user)
    return JsonResponse({"hello": user.username})


def me(request):
    return JsonResponse({"me": request.user.get_username()})


async def me_async(request):
    user = await request.auser()
    return JsonResponse({"me": user.get_username()})


def ask(request, verdict):
    return HttpResponse(verdict.reference, status=428)


async def ask_late(request, verdict):
    await asyncio.sleep(0)
    return ask(request, verdict)


def ask_database(request, verdict):
    auth.get_user_model().objects.count()
    return ask(request, verdict)


def ask_by_template(request, verdict):
    return TemplateResponse(request, "ask.html", {"reference": verdict.reference}, status=428)


def ask_known(request, verdict):
    sdk.identify({"id": request.headers["X-User"]})
    return ask(request, verdict)


def ask_in_a_while(request, verdict):
    return HttpResponse(status=410 if not threading.Event().wait(0.1) else 500)


def no_response(request, verdict):
    return None


urlpatterns = [path(f"{view.__name__}/<str:user>", view) for view in (plain, asynchronous, swallows, streams, fails)]
urlpatterns += [path(view.__name__, view) for view in (login_view, login_async, me, me_async)]

BAD = Decision("d1", "block", "user", "id:bad", playbook="p")
HOSTS = {
    "wsgi": lambda: serving.wsgi(get_wsgi_application()),
    "asgi": lambda: serving.asgi(get_asgi_application(), lifespan="off"),
}


@pytest.fixture
def client(server, start):
    made = start(flush_interval=3600)  # an event waits no longer for its request's answer
    assert known(made)
    for noted in (went_on, closed, under_way):
        noted.clear()
    return made


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")  # Django's own, of a view made for WSGI
@pytest.mark.parametrize("host", HOSTS)
def test_a_refused_user_is_refused_in_every_kind_of_view(server, client, host):
    decide(client, BAD)
    with HOSTS[host]() as site:
        for view in ("plain", "asynchronous", "swallows"):
            got = site.get(f"/{view}/bad")
            assert (view, got.status) == (view, 403)
            assert got.json["error"]["reference"] == "d1"
            assert got.headers["x-outer"] == "1"
            assert site.get(f"/{view}/good").json == {"user": "good"}
        assert site.get("/fails/good").status == 500
        assert site.get("/streams/good").body == b"onetwo"
    assert (went_on, closed) == (["good", "good"], ["bad"])
    assert sdk.flush(60)
    assert len(server.named("sentinel.enforced")) == 3
    assert {event["request"]["status"] for event in server.named("viewed")} == {403, 200}
    assert {event["request"]["route"] for event in server.named("viewed")} == {"plain/<str:user>"}


@pytest.mark.parametrize("host", HOSTS)
def test_a_blocked_address_reaches_no_view(client, host):
    decide(client, Decision("n", "block", "ip", "127.0.0.1", playbook="p"))
    with HOSTS[host]() as site:
        got = site.get("/plain/good", Accept="text/html")
    assert (got.status, got.headers["cache-control"]) == (403, "no-store")
    assert got.headers["content-type"] == "text/html; charset=utf-8"
    assert went_on == []


def test_a_challenge_can_be_the_projects_own(client, settings_of):
    decide(client, Decision("c", "challenge", "user", "id:odd", playbook="p"))
    with HOSTS["wsgi"]() as site:
        assert site.get("/plain/odd").status == 401
        settings_of(SENTINEL_CHALLENGE=f"{__name__}.ask")
        assert (site.get("/plain/odd").status, site.get("/plain/odd").body) == (428, b"c")
        for nothing in ("nowhere", "went_on", "no_response"):
            settings_of(SENTINEL_CHALLENGE=f"{__name__}.{nothing}")
            assert site.get("/plain/odd").status == 401


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("page", ["ask_late", "ask_database", "ask_by_template"])
def test_a_projects_own_page_may_wait_ask_the_database_and_be_a_template(client, settings_of, jane, host, page):
    decide(client, Decision("c", "challenge", "user", "id:odd", playbook="p"))
    all_asynchronous = ["sentinel.sdk.django.SentinelMiddleware"]
    settings_of(SENTINEL_CHALLENGE=f"{__name__}.{page}", MIDDLEWARE=all_asynchronous)
    with HOSTS[host]() as site:
        for view in ("plain", "asynchronous"):
            assert (site.get(f"/{view}/odd").status, site.get(f"/{view}/odd").body) == (428, b"c")


def test_a_projects_own_page_identifies_and_a_blocked_user_does_not_see_it(server, client, settings_of):
    decide(client, Decision("c", "challenge", "ip", "127.0.0.1", playbook="p"), BAD)
    settings_of(SENTINEL_CHALLENGE=f"{__name__}.ask_known")
    with HOSTS["wsgi"]() as site:
        assert site.get("/plain/any", X_User="good").status == 428
        assert site.get("/plain/any", X_User="bad").status == 403
    assert sdk.flush(60)
    assert [event["properties"]["kind"] for event in server.named("sentinel.enforced")] == ["challenge", "block"]


def test_a_request_goes_once_it_is_answered_while_its_events_wait():
    from django.http import HttpRequest

    request = HttpRequest()
    request.path = "/over"
    gone = weakref.ref(request)

    def view(request):
        sdk.track("viewed")
        return HttpResponse()

    gc.collect()
    gc.disable()
    try:
        with testing.capture() as sentinel:
            SentinelMiddleware(view)(request)
            sdk.track("late", request=request)
            del request
            assert gone() is None, "no collector was needed"
            assert [event["request"]["path"] for event in sentinel.events] == ["/over", "/over"]
    finally:
        gc.enable()


def telling():
    yield b"first"
    sdk.track("streamed", {"kind": sdk.identify("bad").kind})
    yield b"last"


async def telling_late():
    for piece in telling():
        yield piece


def over_wsgi(request):
    return b"".join(SentinelMiddleware(lambda request: StreamingHttpResponse(telling()))(request))


def over_asgi(request):
    async def view(request):
        return StreamingHttpResponse(telling_late())

    async def answer():
        return b"".join([piece async for piece in await SentinelMiddleware(view)(request)])

    return asyncio.run(answer())


@pytest.mark.parametrize("way", [over_wsgi, over_asgi])
def test_what_happens_while_an_answer_is_streamed_is_its_requests(way):
    from django.http import HttpRequest

    request = HttpRequest()
    request.path, request.META["REMOTE_ADDR"] = "/export", "203.0.113.9"
    with testing.capture() as sentinel:
        sentinel.decide("block", user="bad")
        assert way(request) == b"firstlast", "it had started"
        sdk.track("beside")
        (event,), (beside,) = sentinel.named("streamed"), sentinel.named("beside")
        assert (event["ip"], event["user"], event["request"]["path"]) == ("203.0.113.9", {"id": "bad"}, "/export")
        assert event["properties"] == {"kind": "block"}
        assert "ip" not in beside


def test_a_file_is_streamed_as_django_streams_it():
    from django.http import FileResponse, HttpRequest

    with testing.capture(), tempfile.TemporaryFile() as file:
        response = SentinelMiddleware(lambda request: FileResponse(file))(HttpRequest())
        assert response.file_to_stream is file


def test_a_transaction_of_a_refused_request_is_rolled_back(client):
    from django.db import connection, transaction

    decide(client, BAD)
    with connection.cursor() as cursor:
        cursor.execute("create table if not exists orders (id integer)")
    with pytest.raises(sdk.Blocked), transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("insert into orders values (1)")
        raise sdk.Blocked(sdk.verdict("bad"))
    with connection.cursor() as cursor:
        assert cursor.execute("select count(*) from orders").fetchone() == (0,)
    connection.close()


@pytest.fixture
def settings_of():
    from django.test.utils import override_settings

    made = []

    def using(**values):
        override = override_settings(**values)
        override.enable()
        made.append(override)

    yield using
    for override in reversed(made):
        override.disable()


@pytest.fixture(scope="module")
def jane():
    """An account of Django's own."""
    from django.contrib.auth import get_user_model
    from django.core.management import call_command
    from django.db import connections

    call_command("migrate", verbosity=0)
    yield get_user_model().objects.create_user("jane", "jane@example.com", "correct horse")
    connections.close_all()


def log_in(site, view, password="correct horse", cookie=""):
    form = urlencode({"name": "jane", "password": password}).encode()
    return site.get(view, "POST", form, Content_Type="application/x-www-form-urlencoded", Cookie=cookie)


def cookie_of(got):
    return got.headers.get("set-cookie", "").partition(";")[0]


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("suffix", ["view", "async"])
def test_logins_through_djangos_signals_are_tracked(server, client, jane, host, suffix):
    with HOSTS[host]() as site:
        assert log_in(site, f"/login_{suffix}", "wrong").status == 401
        assert log_in(site, f"/login_{suffix}").json == {"hello": "jane"}
    failed, worked = server.until(lambda: len(server.named("auth")) == 2 and server.named("auth"))
    assert (failed["success"], failed["user"]) == (False, {"username": "jane"})
    assert worked["success"] is True
    assert worked["user"] == {"id": str(jane.pk), "email": "jane@example.com", "username": "jane"}
    assert worked["request"]["path"] == f"/login_{suffix}"
    assert "correct horse" not in str(server.events)


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("suffix", ["view", "async"])
def test_a_login_of_a_blocked_user_is_refused_and_leaves_no_session(server, client, jane, host, suffix):
    decide(client, Decision("d1", "block", "user", f"id:{jane.pk}", playbook="p"))
    with HOSTS[host]() as site:
        got = log_in(site, f"/login_{suffix}")
        assert (got.status, "set-cookie" in got.headers) == (403, False)
        decide(client, Decision("d2", "block", "user", "username:jane", playbook="p"))
        assert log_in(site, f"/login_{suffix}", "wrong").status == 403
    assert sdk.flush(60)
    assert [event["properties"] for event in server.named("auth")] == [{"blocked": True}] * 2


@pytest.mark.parametrize("host", HOSTS)
def test_the_login_of_a_refused_user_leaves_as_its_answer_does(server, start, settings_of, jane, host):
    client = start(flush_interval=3600)
    assert known(client)
    decide(client, Decision("d1", "block", "user", f"id:{jane.pk}", playbook="p"))
    settings_of(SENTINEL_REFUSE=f"{__name__}.ask_in_a_while")
    with HOSTS[host]() as site:
        assert log_in(site, "/login_view").status == 410
        (login,) = server.until(lambda: server.named("auth"))
    assert login["request"]["status"] == 410


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("view", ["/me", "/me_async"])
def test_an_open_session_is_refused_once_its_user_is_blocked(server, client, jane, host, view):
    with HOSTS[host]() as site:
        cookie = cookie_of(log_in(site, "/login_view"))
        assert site.get(view, Cookie=cookie).json == {"me": "jane"}
        decide(client, Decision("d1", "block", "user", f"id:{jane.pk}", playbook="p"))
        assert site.get(view, Cookie=cookie).status == 403
        assert site.get(view).json == {"me": ""}
    assert under_way == []
    assert sdk.flush(60)
    assert server.named("sentinel.identify")[0]["user"]["email"] == "jane@example.com"


def by_name(user):
    return {"username": user.get_username()}


def test_a_project_says_itself_which_identifiers_its_users_have(settings_of, jane):
    settings_of(SENTINEL_USER=f"{__name__}.by_name")
    assert identifiers(jane) == {"username": "jane"}


def raises(user):
    raise KeyError("on purpose")


def test_a_project_that_cannot_say_who_its_users_are_serves_them(server, client, settings_of, jane):
    settings_of(SENTINEL_USER=f"{__name__}.raises")
    with HOSTS["wsgi"]() as site:
        cookie = cookie_of(log_in(site, "/login_view"))
        assert site.get("/me", Cookie=cookie).json == {"me": "jane"}
    assert sdk.flush(60)
    assert server.named("auth")[0]["success"] is True
    assert sdk.stats()["counts"]["errors"] == 2
