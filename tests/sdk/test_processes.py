"""Processes that fork, end, or are someone's worker: nothing hangs, nothing is sent twice, the rest is sent."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from sentinel.core.decision import Decision, Verdict
from sentinel.sdk.context import Holder
from tests.api.served import within
from tests.ports import free_port
from tests.sdk.server import KEY
from tests.sdk.serving import Site

ROOT = Path(__file__).parents[2]
BAD = Decision("d1", "block", "user", "id:bad", playbook="p")
PRELUDE = """
import os, sys, threading, time
from sentinel import sdk
"""


def environment(server, **more):
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return {
        **kept,
        "SENTINEL_URL": server if isinstance(server, str) else server.url,
        "SENTINEL_KEY": KEY,
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        **more,
    }


def run(server, code):
    """Run a script to its end; return what it printed. Without a server it may say so."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PRELUDE + textwrap.dedent(code)],
        env=environment(server), capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    said = "" if isinstance(server, str) else done.stderr
    assert (done.returncode, said) == (0, ""), done.stderr
    return done.stdout


def test_a_script_sends_what_waits_as_it_ends(server):
    run(server, "sdk.start(flush_interval=3600, exit_wait=60); sdk.track('e')")
    assert len(server.events) == 1


@pytest.mark.parametrize("how", ["refused", "hanging"])
def test_an_exit_is_bounded_whatever_the_server_does(server, how):
    released = threading.Event()
    server.answers.extend([lambda handler: released.wait(60)] * 20)

    def took():
        printed = run(
            server if how == "hanging" else "http://127.0.0.1:9",
            """
            sdk.start(flush_count=1)
            for _ in range(50):
                sdk.track('e')
            print(time.monotonic())
            """,
        )
        return time.monotonic() - float(printed)

    assert within(2.5, took)  # a second for the events, and what the interpreter needs to end
    released.set()


def test_a_forked_child_has_its_own_events_the_same_decisions_and_leaves_the_parents_stream_alone(server):
    server.decide(BAD)
    printed = run(
        server,
        """
        sdk.start(flush_interval=3600)
        assert sdk.current().wait_ready(60)
        pause = threading.Event()
        while not sdk.stats()['connected']:
            pause.wait(0.01)
        sdk.auth_track(True, id=1)
        assert sdk.flush(60)
        sdk.track('parent')
        child = os.fork()
        if child == 0:
            open_files = ['/proc/self/fd/' + name for name in os.listdir('/proc/self/fd')]
            assert not [path for path in open_files if os.path.exists(path) and 'socket' in os.readlink(path)]
            assert sdk.is_blocked('bad')
            assert sdk.stats()['queued'] == 0
            sdk.track('child')
            assert sdk.flush(60)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        print(sdk.stats()['connected'])
        """,
    )
    assert printed == "True\n"
    assert sorted(event["event"] for event in server.events) == ["auth", "child", "parent"]
    assert server.streams <= 2


def test_a_fork_while_every_lock_is_held_hangs_no_child(server):
    run(
        server,
        """
        sdk.start()
        client = sdk.current()
        assert client.wait_ready(60)
        held, done = threading.Event(), threading.Event()
        def hold():
            with client.buffer._changed, client._lock, client.notes._lock, client._recent._lock:
                with client.held.ready._cond, client.sender._connection._lock:
                    held.set()
                    done.wait(60)
        threading.Thread(target=hold).start()
        held.wait(60)
        child = os.fork()
        if child == 0:
            sdk.identify({'id': 1})
            sdk.track('child')
            assert sdk.current().wait_ready(60)
            os._exit(0 if sdk.flush(60) else 1)
        assert os.waitpid(child, 0)[1] == 0
        done.set()
        """,
    )
    assert len(server.named("child")) == 1


def test_a_fork_that_python_did_not_notice_is_noticed_at_the_next_call(server):
    run(
        server,
        """
        import ctypes, signal
        sdk.start()
        sdk.track('parent')
        assert sdk.flush(60)
        for attempt in range(5):  # such a fork may catch the interpreter's own locks held: then the child cannot go on
            child = ctypes.PyDLL(None).fork()  # no hook of Python's runs
            if child == 0:
                signal.alarm(4 << attempt)
                sdk.track('child')
                os._exit(0 if sdk.flush(3 << attempt) else 1)
            if os.waitpid(child, 0)[1] == 0:
                break
        else:
            raise SystemExit('no child could send')
        """,
    )
    names = [event["event"] for event in server.events]
    assert (names[0], set(names[1:])) == ("parent", {"child"})


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_worker_of_a_pool_sends_what_waits_as_it_ends(server, method, tmp_path):
    script = tmp_path / "work.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import multiprocessing
            from sentinel import sdk
            sdk.start(flush_interval=3600, exit_wait=60)
            def work():
                sdk.track('worked')
            if __name__ == '__main__':
                process = multiprocessing.get_context({method!r}).Process(target=work)
                process.start()
                process.join(60)
            """
        )
    )
    subprocess.run([sys.executable, str(script)], env=environment(server), timeout=300, check=True)
    assert len(server.events) == 1


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_worker_without_the_start_of_its_parent_says_so_until_it_starts(server, method, tmp_path):
    script = tmp_path / "work.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import multiprocessing
            from sentinel import sdk
            def ask(event):
                sdk.is_blocked('jane')
            def track(event):
                sdk.track(event)
            def start_and_work(event):
                sdk.start(exit_wait=60)
                ask(event)
                track(event)
            if __name__ == '__main__':
                sdk.is_blocked('jane')  # which is no worker
                sdk.start(exit_wait=60)
                context = multiprocessing.get_context({method!r})
                for target in (start_and_work, ask, track):
                    process = context.Process(target=target, args=(target.__name__,))
                    process.start()
                    process.join(60)
            """
        )
    )
    done = subprocess.run(
        [sys.executable, str(script)], env=environment(server), timeout=300, check=True, capture_output=True, text=True
    )
    assert [event["event"] for event in server.events] == ["start_and_work"]
    told = done.stderr.splitlines()
    assert ["`start` was not called in this worker of multiprocessing" in line for line in told] == [True, True]


def test_a_worker_that_a_request_begins_works_for_no_request():
    """It serves many of them: what it does must not be told of the first one's user and address."""
    printed = run(
        "http://127.0.0.1:9",
        """
        import multiprocessing
        from sentinel.sdk import testing, wsgi
        def work(user):
            verdict = sdk.identify(user)
            sdk.track('worked')
            (event,) = sdk.current().buffer.events()[-1:]
            return verdict.kind, event.get('ip'), event.get('request'), event.get('user')
        def app(environ, start_response):
            sdk.identify('jane')
            with multiprocessing.get_context('fork').Pool(1) as pool:
                print(pool.apply(work, ('bad',)))
            sdk.track('viewed')
            start_response('200 OK', [])
            return []
        with testing.capture() as sentinel:
            sentinel.decide('block', user='bad')
            environ = {'PATH_INFO': '/', 'REQUEST_METHOD': 'GET', 'REMOTE_ADDR': '203.0.113.9'}
            list(wsgi.SentinelMiddleware(app)(environ, lambda *about: None))
            (viewed,) = sentinel.named('viewed')
            print(viewed['ip'], viewed['user'])
        """,
    )
    assert printed.splitlines() == ["('block', None, None, None)", "203.0.113.9 {'id': 'jane'}"]


def test_importing_the_middleware_loads_no_framework():
    heavy = {"fastapi", "starlette", "pydantic", "sqlmodel", "duckdb", "yaml", "redis", "django", "flask", "msgspec"}
    printed = run("http://127.0.0.1:9", "import sentinel.sdk.asgi, sentinel.sdk.wsgi\nprint(*sys.modules)")
    assert heavy & set(printed.split()) == set()


@pytest.mark.parametrize("there", [True, False])
def test_whatever_the_threads_need_was_imported_with_the_sdk(server, there, tmp_path):
    server.decide(BAD)
    printed = run(
        server if there else "http://localhost:9",
        f"""
        before = set(sys.modules)
        sdk.start(snapshot={str(tmp_path / "list")!r})
        sdk.current().wait_ready({5 if there else 0.1})
        sdk.track('e', {{'text': 'x' * 5000}})
        sdk.auth_track(False, id=1)
        sdk.flush({5 if there else 0.1})
        sdk.stop()
        print(sorted(set(sys.modules) - before))
        """,
    )
    assert printed == "[]\n"


def test_starting_starts_no_thread(server):
    printed = run(server, "n = threading.active_count; sdk.start(); print(n()); sdk.track('e'); print(n())")
    assert printed.split() == ["1", "3"]


def test_a_call_in_the_midst_of_another_waits_for_no_lock_of_its_request():
    """As a signal handler's or a finaliser's, which identifies a refused user while the answer starts."""
    holder = Holder("203.0.113.9", "/", SimpleNamespace())

    def handler():
        with holder._lock:
            holder.latch(Verdict("block", "d1"))

    thread = threading.Thread(target=handler, daemon=True)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    assert holder.start() == Verdict("block", "d1")


def test_a_signal_handler_that_tracks_does_not_hang_the_call_it_interrupts(server):
    printed = run(
        server,
        """
        import signal
        sdk.start(buffer_size=100_000)
        seen = [0]
        def handler(*_):
            seen[0] += 1
            sdk.track('signal')
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        while seen[0] < 200:
            sdk.track('e')
        signal.setitimer(signal.ITIMER_REAL, 0)
        print('done')
        """,
    )
    assert printed == "done\n"


APP = """
from sentinel import sdk
from sentinel.sdk.{kind} import SentinelMiddleware
sdk.start(flush_interval={interval}, exit_wait=30)

def wsgi(environ, start_response):
    user = environ["PATH_INFO"].strip("/")
    sdk.identify({{"id": user}})
    sdk.track("served", {{"user": user}})
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(__import__("os").getppid()).encode()]

async def asgi(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({{"type": message["type"] + ".complete"}})
            if message["type"] == "lifespan.shutdown":
                return
    user = scope["path"].strip("/")
    sdk.identify({{"id": user}})
    sdk.track("served", {{"user": user}})
    await send({{"type": "http.response.start", "status": 200, "headers": []}})
    await send({{"type": "http.response.body", "body": b"0"}})

app = SentinelMiddleware({kind})
"""


def interruptible():
    """Die of an interrupt, whatever was inherited: a shell has what runs in its background ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Running:
    """A server process of someone else's making, ended as an operator would."""

    def __init__(self, server, tmp_path, kind, command, files=None, ready="/good", **more):
        interval = 0.05 if "pyuwsgi" in command[1] else 3600
        for name, text in (files or {"shop.py": APP.format(kind=kind, interval=interval)}).items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text)
        self.ready = ready
        self.port = free_port()
        arguments = [part.format(port=self.port) for part in command]
        run = [sys.executable, *([] if arguments[0] == "-c" else ["-m"]), *arguments]
        self.process = subprocess.Popen(
            run, cwd=tmp_path, env=environment(server, PYTHONFAULTHANDLER="1", **more), start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=interruptible,
        )  # fmt: skip
        self.site = Site(self.port)

    def __enter__(self):
        pause, end = threading.Event(), time.monotonic() + 60
        while time.monotonic() < end:
            try:
                self.site.get(self.ready)
                return self
            except OSError:
                if self.process.poll() is not None:
                    with self.process.stderr:
                        raise AssertionError(self.process.stderr.read().decode()) from None
                pause.wait(0.02)
        raise AssertionError("it did not start")

    def end(self, by):
        self.process.send_signal(by)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(60)
            return
        os.killpg(self.process.pid, signal.SIGABRT)  # of which each says where it stands
        raise AssertionError(f"it does not end: {self.process.stderr.read().decode()}")

    def __exit__(self, *_):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(60)
        self.process.stderr.close()


GEVENT = """
from gevent import monkey
monkey.patch_all()
import signal, sys
from gevent.pywsgi import WSGIServer
from shop import app
made = WSGIServer(("127.0.0.1", int(sys.argv[1])), app, log=None)
signal.signal(signal.SIGTERM, lambda *_: made.stop())
made.serve_forever()
"""
UWSGI = [
    "--wsgi-file",
    "shop.py",
    "--callable",
    "app",
    "--master",
    "--processes",
    "2",
    "--enable-threads",
    "--die-on-term",
]
SERVERS = {
    "gunicorn-sync": (
        "wsgi",
        ["gunicorn", "shop:app", "-b", "127.0.0.1:{port}", "-w", "2", "--preload", "--no-control-socket"],
    ),  # its control socket has a thread of its own
    "gunicorn-threads": ("wsgi", ["gunicorn", "shop:app", "-b", "127.0.0.1:{port}", "--threads", "4", "-k", "gthread"]),
    "gunicorn-gevent": ("wsgi", ["gunicorn", "shop:app", "-b", "127.0.0.1:{port}", "-k", "gevent", "-w", "2"]),
    "gevent": ("wsgi", ["-c", GEVENT, "{port}"]),
    "uwsgi": ("wsgi", ["-c", "import pyuwsgi; pyuwsgi.run()", "--http-socket", "127.0.0.1:{port}", *UWSGI]),
    "uvicorn-workers": ("asgi", ["uvicorn", "shop:app", "--port", "{port}", "--workers", "2"]),
    "waitress": ("wsgi", ["waitress", "--listen=127.0.0.1:{port}", "shop:app"]),
    "uvicorn": ("asgi", ["uvicorn", "shop:app", "--port", "{port}", "--log-level", "critical"]),
    "hypercorn-asyncio": ("asgi", ["hypercorn", "shop:app", "-b", "127.0.0.1:{port}", "-k", "asyncio"]),
    "hypercorn-trio": ("asgi", ["hypercorn", "shop:app", "-b", "127.0.0.1:{port}", "-k", "trio"]),
}

NEEDED = {"gunicorn", "gevent", "uwsgi", "waitress", "uvicorn", "hypercorn", "trio"}


@pytest.mark.parametrize("name", sorted(SERVERS))
def test_under_a_real_server(server, tmp_path, name):
    """Refused users are refused in every worker, and what waits is sent as the server is ended."""
    kind, command = SERVERS[name]
    for needed in {command[0], name.partition("-")[0], name.rpartition("-")[2]} & NEEDED:
        pytest.importorskip("pyuwsgi" if needed == "uwsgi" else needed)
    server.decide(BAD)
    with Running(server, tmp_path, kind, command) as running:
        enough = time.monotonic() + 60
        statuses = []
        while statuses[-4:] != [403] * 4 and time.monotonic() < enough:
            statuses.append(running.site.get("/bad").status)
        assert statuses[-4:] == [403] * 4  # a worker's very first requests may come before its first list
        settled = time.monotonic() + (1.5 if name.startswith("gunicorn") else 0)
        while time.monotonic() < settled:  # its workers cannot be ended while they begin, whoever they serve
            assert running.site.get("/good").status == 200
        if name == "gunicorn-sync":
            master = int(running.site.get("/good").body)
            assert len(list(Path(f"/proc/{master}/task").iterdir())) == 1, "the master starts no thread"
        if name == "uwsgi":  # it does not always run exit handlers
            server.until(lambda: server.named("served") and server.named("sentinel.enforced"))
        running.end(signal.SIGINT if name == "waitress" else signal.SIGTERM)  # which waitress dies of
    assert server.named("served")
    assert len({event["id"] for event in server.events}) == len(server.events)
    assert server.named("sentinel.enforced")


def test_a_server_killed_outright_loses_only_what_had_not_left(server, tmp_path):
    pytest.importorskip("waitress")
    with Running(server, tmp_path, *SERVERS["waitress"]) as running:
        assert running.site.get("/good").status == 200
    assert json.dumps(server.events).count("served") <= 2
