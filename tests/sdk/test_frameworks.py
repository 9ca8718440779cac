"""Every example of docs/sdk-frameworks.md, served by its real framework: it refuses, it tells, and it ends in order."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from urllib.parse import urlencode

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from sentinel.core.decision import Decision
from tests.sdk.test_processes import Running, environment
from tests.valkey import Server as Valkey

PAGE = (Path(__file__).parents[2] / "docs" / "sdk-frameworks.md").read_text()
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
BAD = Decision("d1", "block", "user", "id:bad", playbook="p")
JSON = {"Content_Type": "application/json"}
FORM = {"Content_Type": "application/x-www-form-urlencoded"}
UVICORN = ["uvicorn", "shop:app", "--port", "{port}", "--log-level", "critical", "--timeout-graceful-shutdown", "2"]
PROJECT = {
    "project/__init__.py": "",
    "shop/__init__.py": "",
    "project/wsgi.py": "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n",
    "project/asgi.py": "from django.core.asgi import get_asgi_application\napplication = get_asgi_application()\n",
    "project/given.py": "SECRET_KEY, ROOT_URLCONF = 'only for tests', 'project.urls'\nALLOWED_HOSTS = ['*']\n"
    "DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': 'shop.sqlite3'}}\n",
}


PATIENT = {  # on a machine that is slower than what applications should wait for
    "sdk.start()": "sdk.start(startup_wait=60, exit_wait=60)",
    "sdk.ready()": "sdk.ready(60)",
    "sdk.flush()": "sdk.flush(60)",
    "(sdk.ready)": "(sdk.ready, 60)",
}


def blocks(section):
    """Return the Python of a section: by the file it names, else as shop.py."""
    found = {}
    for text in re.findall(r"```python\n(.*?)```", SECTIONS[section], re.DOTALL):
        named = re.match(r"# (\S+\.py)\n", text)
        for call, patient in PATIENT.items():
            text = text.replace(call, patient)
        found[named[1] if named else "shop.py"] = text
    return found


def until(what):
    """Wait for what another process does; the tests' patience is the only clock."""
    pause, end = threading.Event(), time.monotonic() + 60
    while not (found := what()):
        assert time.monotonic() < end, "it did not come about"
        pause.wait(0.05)
    return found


AIOHTTP = "import sys, shop; shop.web.run_app(shop.app, host='127.0.0.1', port=int(sys.argv[1]), print=None)"
WEB = {
    "FastAPI": UVICORN,
    "Starlette": UVICORN,
    "Flask": ["gunicorn", "shop:app", "-b", "127.0.0.1:{port}"],
    "ASGI": [*UVICORN, "--lifespan", "off"],
    "WSGI": ["gunicorn", "shop:app", "-b", "127.0.0.1:{port}"],
    "aiohttp": ["-c", AIOHTTP, "{port}"],
}
ROUTES = dict.fromkeys(("FastAPI", "Starlette", "aiohttp"), "/orders/{user}") | {"Flask": "/orders/<user>"}


@pytest.mark.parametrize("name", WEB)
def test_the_example_of_a_web_framework(server, tmp_path, name):
    pytest.importorskip("aiohttp" if name == "aiohttp" else "gunicorn")
    server.decide(BAD)
    knows_late = name == "ASGI"  # it knows no lifespan
    files = blocks(name) | blocks("Servers")
    with Running(server, tmp_path, None, WEB[name], files, "/orders/good" if knows_late else "/orders/bad") as running:
        until(lambda: running.site.get("/orders/bad").status == 403)
        assert running.site.get("/orders/good").status == 200
        if "/login" in SECTIONS[name]:
            given = {"name": "jane", "password": "wrong"}
            body, kind = (urlencode(given), FORM) if name == "Flask" else (json.dumps(given), JSON)
            assert running.site.get("/login", "POST", body.encode(), **kind).status == 401
        if knows_late:
            until(lambda: server.named("orders.listed")[-1:] and server.named("sentinel.enforced"))
        running.end(signal.SIGTERM)
    listed = [event for event in server.named("orders.listed") if event["user"] == {"id": "good"}]
    assert knows_late or listed == server.named("orders.listed"), "the very first request was refused"
    assert listed[-1]["request"]["path"] == "/orders/good"
    assert listed[-1]["request"].get("route") == ROUTES.get(name)
    assert listed[-1]["request"]["status"] == 200
    assert server.named("sentinel.enforced")
    if "/login" in SECTIONS[name]:
        (event,) = server.named("auth")
        assert (event["success"], event["user"], event["request"]["status"]) == (False, {"username": "jane"}, 401)
        assert "wrong" not in str(event)


def test_the_websocket_of_the_starlette_example(server, tmp_path):
    with Running(server, tmp_path, None, WEB["Starlette"], blocks("Starlette"), ready="/orders/good") as running:
        with connect(f"ws://127.0.0.1:{running.port}/prices/bad") as socket:
            socket.send("one")
            assert socket.recv(60) == "one"
            server.decide(BAD)
            until(lambda: running.site.get("/orders/bad").status == 403)
            socket.send("two")
            with pytest.raises(ConnectionClosed) as closed:
                socket.recv(60)
            assert closed.value.rcvd.code == 1008
        with pytest.raises(InvalidStatus):
            connect(f"ws://127.0.0.1:{running.port}/prices/bad").close()


@pytest.mark.parametrize("command", [
    ["gunicorn", "project.wsgi", "-b", "127.0.0.1:{port}"],
    ["uvicorn", "project.asgi:application", "--port", "{port}", "--log-level", "critical", "--lifespan", "off"],
], ids=["wsgi", "asgi"])  # fmt: skip
def test_the_example_of_django(server, tmp_path, command):
    given = blocks("Django")
    settings = {"project/settings.py": "from project.given import *\n" + given.pop("settings.py")}
    files = {**PROJECT, **given, **settings}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    django = {"DJANGO_SETTINGS_MODULE": "project.settings"}
    made = (
        "import django; django.setup(); from django.core.management import call_command as c; c('migrate', verbosity=0)"
        "; from django.contrib.auth.models import User; print(User.objects.create_user('jane', '', 'correct horse').pk)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", made], cwd=tmp_path, env=environment(server, **django), capture_output=True, text=True,
        timeout=300, check=True,
    )  # fmt: skip
    with Running(server, tmp_path, None, command, files, ready="/orders", **django) as running:

        def log_in(password):
            form = urlencode({"name": "jane", "password": password}).encode()
            return running.site.get("/login", "POST", form, **FORM)

        assert log_in("wrong").status == 401
        cookie = log_in("correct horse").headers["set-cookie"].partition(";")[0]
        assert running.site.get("/orders", Cookie=cookie).status == 200
        server.decide(Decision("d1", "block", "user", f"id:{ran.stdout.strip()}", playbook="p"))
        until(lambda: running.site.get("/orders", Cookie=cookie).status == 403)
        refused = log_in("correct horse")
        assert (refused.status, "set-cookie" in refused.headers) == (403, False)
        assert running.site.get("/orders").status == 200
        running.end(signal.SIGTERM)
    assert [event["success"] for event in server.named("auth")] == [False, True, True]
    assert server.named("auth")[-1]["properties"] == {"blocked": True}
    assert any(event.get("user", {}).get("username") == "jane" for event in server.named("orders.listed"))


@pytest.fixture(scope="module")
def broker():
    made = Valkey()
    yield f"redis://127.0.0.1:{made.port}/0"
    made.end()


def send(server, tmp_path, code, **more):
    subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment(server, **more), timeout=300, check=True,
        capture_output=True,
    )  # fmt: skip


class Worker:
    """A worker process, ended as an operator would."""

    def __init__(self, server, tmp_path, command, **more):
        self.log = tmp_path / "worker.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *command], cwd=tmp_path, env=environment(server, **more),
                stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def __enter__(self):
        return self

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(60) == 0, self.log.read_text()

    def __exit__(self, *_):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)


@pytest.mark.parametrize("pool", ["prefork", "solo"])
@pytest.mark.parametrize("kind", ["valkey", "files"])
def test_the_example_of_celery(server, tmp_path, broker, pool, kind):
    pytest.importorskip("celery")
    (tmp_path / "shop.py").write_text(blocks("Celery")["shop.py"])
    inbox, outbox = tmp_path / "in", tmp_path / "out"
    inbox.mkdir()
    outbox.mkdir()
    more = {"BROKER": broker.replace("/0", "/1" if pool == "solo" else "/2")}
    if kind == "files":
        more["BROKER"] = "filesystem://"
        with (tmp_path / "shop.py").open("a") as file:
            file.write("app.conf.broker_transport_options = {'data_folder_in': 'in', 'data_folder_out': 'out'}\n")
            file.write("app.conf.broker_transport_options |= {'control_folder': 'control', 'polling_interval': 0.05}\n")
    server.decide(BAD)
    flags = ["-P", pool, "-c", "2", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    delay = "from shop import send_invoice\nfor n in range(8): send_invoice.delay({user!r}, n)"

    def ask(user):
        send(server, tmp_path, delay.format(user=user), **more)
        for file in outbox.iterdir():  # as a whole: Celery takes a file that is still being written
            file.rename(inbox / file.name)

    ask("good")
    with Worker(server, tmp_path, ["celery", "-A", "shop", "worker", *flags], **more) as worker:
        until(lambda: len(server.named("invoice.sent")) == 8 or worker.process.poll() is not None)
        sent = len(server.named("invoice.sent"))
        ask("bad")
        ask("later")
        until(lambda: len([e for e in server.named("invoice.sent") if e["user"] == {"id": "later"}]) == 8)
        worker.end()
    assert sent == 8, worker.log.read_text()
    events = server.named("invoice.sent")
    assert "bad" not in {event["user"]["id"] for event in events}
    assert len({event["id"] for event in events}) == len(events) == 16
    assert "Traceback" not in worker.log.read_text()


@pytest.mark.parametrize("worker_class", ["rq.worker.Worker", "rq.worker.SimpleWorker"])
def test_the_example_of_rq(server, tmp_path, broker, worker_class):
    pytest.importorskip("rq")
    (tmp_path / "shop.py").write_text(blocks("RQ")["shop.py"])
    server.decide(BAD)
    url = broker.replace("/0", "/3" if worker_class.endswith("SimpleWorker") else "/4")
    send(
        server, tmp_path,
        "import redis, rq\nfrom shop import send_invoice\n"
        f"queue = rq.Queue(connection=redis.Redis.from_url({url!r}))\n"
        "for n in range(4):\n    queue.enqueue(send_invoice, 'good', n)\n"
        "for n in range(2):\n    queue.enqueue(send_invoice, 'bad', n)\n",
    )  # fmt: skip
    with Worker(server, tmp_path, ["rq.cli", "worker", "--burst", "--url", url, "-w", worker_class]) as worker:
        assert worker.process.wait(60) == 0, worker.log.read_text()
    events = server.named("invoice.sent")
    assert sum(event["user"]["id"] == "good" for event in events) == 4, worker.log.read_text()
    assert len({event["id"] for event in events}) == len(events)
    assert {event["user"]["id"] for event in events} == {"good"}


@pytest.mark.parametrize("section", ["Scripts", "Coming from Sqreen"])
def test_the_example_of_a_script(server, tmp_path, section):
    (tmp_path / "shop.py").write_text(blocks(section)["shop.py"])
    subprocess.run([sys.executable, "shop.py"], cwd=tmp_path, env=environment(server), timeout=300, check=True)
    expected = {"Scripts": ["invoice.exported"] * 3}.get(
        section, ["auth", "signup", "sentinel.identify", "invoice.created"]
    )
    assert sorted(event["event"] for event in server.events) == sorted(expected)


LOGINS = """
from flask import Flask
from flask_login import LoginManager, UserMixin, current_user
from sentinel import sdk
from sentinel.sdk.wsgi import SentinelMiddleware

sdk.start(startup_wait=60)
app = Flask(__name__)

@LoginManager(app).request_loader
def who_asks(request):
    user = UserMixin()
    user.id = request.args.get("user")
    return user if user.id else None

{example}

@app.get("/orders")
def orders():
    return "some"

app.wsgi_app = SentinelMiddleware(app.wsgi_app)
"""
REST = """
import django
from django.conf import settings

settings.configure(
    SECRET_KEY="only for tests", ROOT_URLCONF="shop", ALLOWED_HOSTS=["*"], USE_TZ=True,
    DATABASES={{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": "shop.sqlite3"}}}},
    MIDDLEWARE=["sentinel.sdk.django.SentinelMiddleware", "sentinel.sdk.django.IdentifyUser"],
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "rest_framework", "rest_framework.authtoken"],
    REST_FRAMEWORK={{"DEFAULT_AUTHENTICATION_CLASSES": ["shop.Tokens"]}},
)
django.setup()

from django.contrib.auth.models import User
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application
from django.urls import path
from rest_framework.authtoken.models import Token
{example}
from rest_framework.decorators import api_view
from rest_framework.response import Response

call_command("migrate", verbosity=0)
for name in ("good", "bad"):
    Token.objects.get_or_create(key=name, defaults={{"user": User.objects.create(username=name)}})

@api_view()
def orders(request):
    return Response(["some"])

urlpatterns = [path("orders", orders)]
sdk.start(startup_wait=60)
app = get_wsgi_application()
"""


def example_of(title):
    """Return the Python below a title in the section of others."""
    return re.search(rf"^### {title}\n.*?```python\n(.*?)```", SECTIONS["Others"], re.DOTALL | re.MULTILINE)[1]


def test_who_logs_in_by_flask_login_is_identified_before_each_view(server, tmp_path):
    pytest.importorskip("flask_login")
    server.decide(BAD)
    files = {"shop.py": LOGINS.format(example=example_of("Flask-Login"))}
    with Running(server, tmp_path, None, WEB["Flask"], files, ready="/orders") as running:
        until(lambda: running.site.get("/orders?user=bad").status == 403)
        assert [running.site.get(f"/orders{asked}").status for asked in ("", "?user=good")] == [200, 200]


def test_who_shows_a_token_of_django_rest_framework_is_identified(server, tmp_path):
    pytest.importorskip("rest_framework")
    server.decide(Decision("d1", "block", "user", "username:bad", playbook="p"))
    files = {"shop.py": REST.format(example=example_of("Django REST framework"))}
    with Running(server, tmp_path, None, WEB["Flask"], files, ready="/orders") as running:
        until(lambda: running.site.get("/orders", Authorization="Token bad").status == 403)
        assert running.site.get("/orders", Authorization="Token good").status == 200
        assert running.site.get("/orders", Authorization="Token none").status == 401


def test_every_section_with_code_is_served_by_a_test():
    tested = {*WEB, "Django", "Others", "Celery", "RQ", "Scripts", "Servers", "Coming from Sqreen"}
    assert {name for name, text in SECTIONS.items() if "```python" in text} == tested
