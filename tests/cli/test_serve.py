"""`sentinel serve` as a process of its own: what it leaves, how it ends, and what a crash cannot take."""

from __future__ import annotations

import errno
import io
import json
import os
import re
import resource
import signal
import socket
import stat
import subprocess
import sys
import threading
from contextlib import nullcontext
from tempfile import TemporaryDirectory
from types import SimpleNamespace

import pytest

from sentinel.cli.program import run
from sentinel.cli.serve import _welcome
from sentinel.core.errors import SentinelError
from sentinel.local import write_private
from sentinel.service.setup import ONCE, First
from tests.api.served import wait_for
from tests.process import ENTRY, Forked, Process, tried


@pytest.fixture
def serve(tmp_path):
    started = []

    def start(*flags, kind=Process):
        started.append(kind(tmp_path, *flags))
        return started[-1]

    yield start
    for process in started:
        if process.run.poll() is None:
            process.end(signal.SIGKILL)


def test_the_first_start_creates_everything_and_hands_its_secrets_over_once(serve):
    server = serve()
    once = server.data / "first-start.txt"
    assert stat.S_IMODE(once.stat().st_mode) == 0o600
    assert stat.S_IMODE((server.data / "server.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(server.data.stat().st_mode) == 0o700
    address = f"http://127.0.0.1:{server.client.port}"
    plain, welcome = re.findall(r"https?://\S+", once.read_text())
    assert plain == address
    assert re.fullmatch(re.escape(address) + r"/welcome#[\w-]{43,}", welcome)
    assert server.client.get("/welcome").status == 200
    assert welcome.partition("#")[2] not in server.said()
    secret = server.first_key
    assert server.client.using(secret).post("/v1/events", {"event": "x"}).json["accepted"] == 1
    assert secret not in server.said()
    once.unlink()
    assert server.end() == 0
    again = serve(kind=Forked)
    assert not once.exists()
    assert again.client.using(secret).post("/v1/events", {"event": "x"}).status == 200


def test_a_flag_that_is_given_again_is_refused_and_not_half_of_it_taken(capsys):
    assert run(["serve", "--geo", "a.mmdb", "--geo", "b.mmdb", "--port", "1", "--port", "1", "--host", "::1"]) == 2
    said = capsys.readouterr().err
    assert "`--geo`: given 2 times (write it once; the parts of a list are separated by commas)" in said
    assert "`--port`: given 2 times" in said and "--host" not in said


class Terminal(io.StringIO):
    """A terminal that takes so many lines and is gone then."""

    def __init__(self, lines):
        super().__init__()
        self.lines = lines

    def isatty(self):
        return True

    def write(self, text):
        if self.getvalue().count("\n") >= self.lines:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return super().write(text)


@pytest.mark.parametrize("lines", [0, 1, 99])
def test_the_first_secrets_are_in_a_file_until_the_terminal_has_shown_them(tmp_path, monkeypatch, lines):
    terminal, here = Terminal(lines), SimpleNamespace(data=tmp_path)
    monkeypatch.setattr(sys, "stdout", terminal)
    with pytest.raises(OSError, match="/output error") if lines < 99 else nullcontext():
        _welcome(here, "http://127.0.0.1:8787", First("the-key", "the-link"))
    kept = tmp_path / ONCE
    assert ("the-key" in terminal.getvalue(), kept.exists()) == (lines == 99, lines < 99)
    if lines < 99:
        assert "the-key" in kept.read_text()
        monkeypatch.setattr(sys, "stdout", told := Terminal(99))
        _welcome(here, "http://127.0.0.1:8787", None)
        assert str(kept) in told.getvalue() and "the-key" not in told.getvalue()


@pytest.mark.parametrize(
    ("number", "kind"), [(signal.SIGTERM, Process), (signal.SIGINT, Forked), (signal.SIGHUP, Forked)]
)
def test_a_signal_ends_it_in_order(serve, number, kind):
    if signal.getsignal(number) == signal.SIG_IGN:
        pytest.skip(f"{number.name} is ignored here, as by nohup, and whatever is started here ignores it too")
    server = serve(kind=kind)
    stream = server.client.using(server.first_key).stream("/v1/feed/stream")
    assert stream.block() == [":"]
    assert server.end(number) == 0
    while stream.block():  # it showed that it lived until then
        pass
    stream.close()
    assert not (server.data / "server.json").exists()
    assert not list(server.data.glob("*-wal"))


@pytest.mark.parametrize("abstract", [False, True])
def test_it_tells_who_manages_services_when_it_listens_and_when_it_stops(serve, monkeypatch, abstract):
    short = TemporaryDirectory(dir="/tmp")  # a socket's path has a hundred characters, and `tmp_path` may have more
    with short as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(180)
        address = f"\0{folder}/notify" if abstract else f"{folder}/notify@1"
        manager.bind(address)
        monkeypatch.setenv("NOTIFY_SOCKET", address.replace("\0", "@"))
        server = serve(kind=Forked)
        assert manager.recv(100) == b"READY=1"
        assert server.end() == 0
        assert manager.recv(100) == b"STOPPING=1"


def test_what_is_under_way_at_a_stop_is_finished_and_nothing_acknowledged_is_lost(serve):
    server = serve(kind=Forked)
    client, statuses, taken = server.client.using(server.first_key), [], []

    def send():
        for number in range(1000):
            batch = [{"event": "x", "id": f"{threading.get_ident()}-{number}-{index}"} for index in range(20)]
            try:
                answer = client.post("/v1/events", batch)
            except OSError:
                return
            statuses.append(answer.status)
            if answer.status != 200:
                return
            taken.extend(event["id"] for event in batch)

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    wait_for(lambda: len(statuses) > 20)
    assert server.end() == 0
    for thread in threads:
        thread.join()
    assert set(statuses) <= {200, 503}
    assert found(serve(kind=Forked)) >= set(taken)


def test_a_kill_takes_nothing_that_was_acknowledged(serve):
    server = serve(kind=Forked)
    client = server.client.using(server.first_key)
    for number in range(30):
        assert (
            client.post("/v1/events", [{"event": "x", "id": f"{number}-{index}"} for index in range(10)]).status == 200
        )
    fail = {"event": "auth", "success": False, "ip": "203.0.113.9"}
    assert client.post("/v1/events", [{**fail, "user": f"u{n}"} for n in range(3)]).json["revision"] == 1
    server.end(signal.SIGKILL)
    again = serve(kind=Forked)
    assert found(again) >= {f"{number}-{index}" for number in range(30) for index in range(10)}
    told = again.client.using(again.first_key).get("/v1/feed").json["added"]
    assert [one["value"] for one in told] == ["203.0.113.9"]
    assert client.port != again.client.port
    repeat = again.client.using(again.first_key).post("/v1/events", [{"event": "x", "id": "3-3"}])
    assert repeat.json["duplicates"] == 1


def found(server):
    """Return the ids of all stored events, as a command beside the data folder may."""
    client = server.client.using(server.local["token"])
    ids, cursor = set(), ""
    while cursor is not None:
        page = client.get(f"/v1/events?limit=1000{cursor and '&cursor=' + cursor}").json
        ids |= {one["id"] for one in page["items"]}
        cursor = page["cursor"]
    return ids


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--prot", "1"], "no such option: --prot"),
        (["--port", "http"], "`--port`: `http` is not a whole number"),
        (["--workers", "2"], "set `windows` to a Redis or Valkey URL"),
        (["--host", "192.0.2.1"], "`192.0.2.1:0`: cannot be listened at"),
        (["--playbooks", "/nowhere"], "there is no file or folder `/nowhere`"),
        (["--database", "postgresql://127.0.0.1:1/x"], "the database `x` at `127.0.0.1:1` cannot be used now"),
    ],
)
def test_what_cannot_start_is_told_in_words_and_code_2(tmp_path, flags, words):
    port = [] if "--port" in flags else ["--port", "0"]
    code, said = tried(tmp_path, "serve", "--data", tmp_path / "data", *port, *flags)
    assert code == 2
    assert words in said.lower() if words[0] == "n" else words in said
    assert "Traceback" not in said


def test_a_second_server_over_the_same_folder_is_refused(serve, tmp_path):
    server = serve(kind=Forked)
    command = [*ENTRY, "serve", "--data", str(server.data), "--port", "0"]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert ran.returncode == 2
    assert f"is in use by process {server.run.pid}" in ran.stderr
    assert server.local["pid"] == server.run.pid


def test_it_opens_as_many_files_as_the_system_allows_and_bounds_heads(serve):
    kept = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, kept[1]), kept[1]))
    try:
        server = serve()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, kept)
    assert resource.prlimit(server.run.pid, resource.RLIMIT_NOFILE)[0] == kept[1]
    with socket.create_connection(("127.0.0.1", server.client.port), timeout=60) as sock:
        sock.sendall(b"GET /".ljust(65536, b"a"))
        assert sock.recv(100).startswith(b"HTTP/1.1 431 ")


def test_a_file_that_cannot_be_written_at_the_start_is_told_in_one_line_and_ends_it_in_order(tmp_path):
    (tmp_path / "data" / "server.json").mkdir(parents=True)
    code, said = tried(tmp_path, "serve", "--data", tmp_path / "data", "--port", "0")
    assert code == 2
    assert "server.json` cannot be written: Is a directory" in said
    assert "Traceback" not in said and '"event": "stopped"' in said
    assert not list((tmp_path / "data").glob(".server.json*"))


def test_a_full_disk_is_said_to_be_full(tmp_path, monkeypatch):
    really = os.open
    monkeypatch.setattr("sentinel.local.os.open", lambda *_: really("/dev/full", os.O_WRONLY))
    with pytest.raises(SentinelError, match="private` cannot be written: No space left on device") as raised:
        write_private(tmp_path / "private", "text")
    assert raised.value.hint == "make room on the disk"


def test_every_setting_has_a_flag_and_so_has_its_other_name(tmp_path):
    from sentinel.settings import ALIASES, TABLE

    ran = subprocess.run([*ENTRY, "serve", "--help"], capture_output=True, text=True, timeout=300, cwd=tmp_path)
    for name in (*TABLE, *ALIASES):
        assert f"--{name.replace('_', '-')} " in ran.stdout


def test_from_start_to_stop_it_prints_nothing_but_logs_which_are_json_and_hold_no_secret(serve):
    server = serve("--log-format", "json")
    secret, token = server.first_key, server.local["token"]
    server.client.using(secret).post("/v1/events", [{"event": "x", "user": "1"}] * 20)
    assert server.client.using(token).get("/v1/events").json["items"]
    server.client.get(f"/v1/decisions?key={secret}")
    server.client.using(secret).post("/v1/events", raw=b"{")
    server.client.using(token).post("/v1/keys", {"scope": "read"})
    assert server.end(signal.SIGTERM) == 0
    said = (server.data.parent / "errors").read_text()
    assert [line for line in said.splitlines() if not line.startswith("{")] == []
    assert all(json.loads(line)["event"] for line in said.splitlines())
    assert secret not in said and token not in said
