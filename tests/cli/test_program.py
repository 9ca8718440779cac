"""The table of commands, exit codes, and what a user reads when something is wrong."""

from __future__ import annotations

import errno
import gc
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer

import sentinel
from sentinel import cli
from sentinel.cli import program
from sentinel.cli.program import COMMANDS, Command, run
from sentinel.cli.terminal import say, say_json
from sentinel.core.errors import SentinelError

HERE = sys.modules[__name__]
ENTRY = [sys.executable, "-c", "import sys; from sentinel.cli import main; sys.exit(main())"]


@pytest.fixture
def offer(monkeypatch):
    """Offer one more command, `probe`, that does what the test says."""

    def add(target):
        monkeypatch.setattr(HERE, "probe_target", target, raising=False)
        monkeypatch.setitem(sys.modules, "sentinel_probe", HERE)
        monkeypatch.setitem(COMMANDS, "probe", Command("sentinel_probe:probe_target", "Probe."))

    return add


def raising(error):
    def probe():
        raise error

    return probe


def test_loading_a_command_leaves_the_garbage_collector_on():
    with pytest.raises(ModuleNotFoundError):
        Command("sentinel.cli.nowhere:x", "").load()
    assert gc.isenabled()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_loads_and_its_line_in_the_help_opens_its_own_help(name):
    target = COMMANDS[name].load()
    text = target.info.help if isinstance(target, typer.Typer) else target.__doc__
    assert text.splitlines()[0] == COMMANDS[name].summary


@pytest.mark.parametrize("arguments", [["version"], ["--version"]])
def test_the_version_is_one_line(arguments, capsys):
    assert run(arguments) == 0
    assert capsys.readouterr().out == f"sentinel {sentinel.__version__}\n"


def test_help_names_every_command_and_imports_none_of_them(monkeypatch, capsys):
    monkeypatch.setitem(COMMANDS, "absent", Command("sentinel.cli.no_such_module:absent", "Not there."))
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {name} " in shown for name in COMMANDS)
    with pytest.raises(ModuleNotFoundError):
        run(["absent"])


def test_without_a_command_the_help_goes_to_standard_error_and_the_code_is_2(capsys):
    assert run([]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Usage: sentinel")


GROUPS = [name for name, command in COMMANDS.items() if isinstance(command.load(), typer.Typer)]


@pytest.mark.parametrize("name", GROUPS)
def test_a_group_without_a_command_shows_its_help_and_the_code_is_2(name, capsys):
    assert run([name]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith(f"Usage: sentinel {name}") and "try `" not in err


@pytest.mark.parametrize("name", ["", *GROUPS])
def test_no_line_of_the_help_is_cut_off(name, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert run([*name.split(), "--help"]) == 0
    assert [line for line in capsys.readouterr().out.splitlines() if line.endswith("...") and "ARGS" not in line] == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("check --format xml", "invalid value for '--format': 'xml' is not one of 'text', 'json'"),
        ("events --limit ten", "invalid value for '--limit': it should be a whole number"),
        ("events --limit 0", "invalid value for '--limit': it should be greater than or equal to 1"),
        ("backtest --since 3x", "`--since`: `3x` is not a duration"),
        ("backtest --events x --lateness soon", "`--lateness`: `soon` is not a duration"),
        ("suggest . --events x --since 1d", "`--events` and `--since` are two sources of past events"),
    ],
)
def test_a_value_that_is_none_is_told_with_its_option(words, said, capsys):
    assert run(words.split()) == 2
    assert capsys.readouterr().err.startswith(f"sentinel: {said}")


def test_who_interrupts_reads_no_traceback(offer, capsys):
    offer(raising(KeyboardInterrupt()))
    assert run(["probe"]) == 130
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (0, 0), (1, 1), (3, 3)])
def test_a_command_returns_its_exit_code(offer, returned, code):
    offer(lambda: returned)
    assert run(["probe"]) == code


def test_a_command_may_be_a_group_of_its_own(offer, capsys):
    group = typer.Typer()
    group.command("add")(lambda: 0)
    group.command("list")(lambda: 4)
    offer(group)
    assert run(["probe", "list"]) == 4
    assert run(["--help"]) == 0
    assert "Probe." in capsys.readouterr().out


def test_an_error_the_user_can_put_right_is_one_line_and_code_2(offer, capsys):
    offer(raising(SentinelError("rules/a.yaml:3:1: unknown key `groupby`", "did you mean `group_by`?")))
    assert run(["probe"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "sentinel: rules/a.yaml:3:1: unknown key `groupby` (did you mean `group_by`?)\n"


def test_an_error_may_carry_its_own_exit_code(offer, capsys):
    error = SentinelError("no")
    error.exit_code = 5
    offer(raising(error))
    assert run(["probe"]) == 5
    assert capsys.readouterr().err == "sentinel: no\n"


def test_an_errors_text_is_neither_markup_nor_control(offer, capsys):
    offer(raising(SentinelError("no user `[bold red]x[/]\x1b[2J`")))
    run(["probe"])
    assert capsys.readouterr().err == "sentinel: no user `[bold red]x[/]\\x1b[2J`\n"


def test_a_fault_of_ours_is_not_dressed_up_as_the_users(offer):
    offer(raising(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        run(["probe"])


@pytest.mark.parametrize("word", ["nope", "\x1b[31mnope", "--nope", "--\x1b[31m"])
def test_a_wrong_word_is_one_line_with_a_way_on(word, capsys):
    assert run([word]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "\x1b" not in err
    assert err.startswith("sentinel: no such ")
    assert err.endswith("(try `sentinel --help`)\n")


def test_a_slip_of_the_keys_gets_a_suggestion(capsys):
    assert run(["versoin"]) == 2
    assert "'version'" in capsys.readouterr().err


def test_a_reader_that_went_away_is_no_traceback():
    reader, writer = os.pipe()
    os.close(reader)
    ran = subprocess.run([*ENTRY, "version"], stdout=writer, stderr=subprocess.PIPE, timeout=300)
    os.close(writer)
    assert (ran.returncode, ran.stderr) == (1, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no disk that is always full")
def test_output_that_has_no_room_is_one_line_and_code_2():
    with Path("/dev/full").open("wb") as full:
        ran = subprocess.run([*ENTRY, "version"], stdout=full, stderr=subprocess.PIPE, timeout=300)
    assert (ran.returncode, ran.stderr) == (2, b"sentinel: the output cannot be written: No space left on device\n")


@pytest.mark.parametrize(
    ("closed", "out", "err"),
    [(">&-", "", "err\n"), ("2>&-", "out\n", ""), ("<&-", "out\n", "err\n"), ("<&- >&- 2>&-", "", "")],
)
def test_a_stream_that_is_closed_is_nothing_and_no_file_takes_its_number(closed, out, err):
    probe = """import os, sys, sentinel.cli as cli
cli._ready_streams()
if os.open("/", os.O_RDONLY) > 2 and sys.stdin.read() == "":
    print("out")
    print("err", file=sys.stderr)
    sys.exit(7)
"""
    shell = ["/bin/sh", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, probe]
    ran = subprocess.run(shell, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
    assert (ran.returncode, ran.stdout, ran.stderr) == (7, out, err)


def test_letters_that_the_output_lacks_are_escapes_and_json_means_the_same(offer, monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    monkeypatch.setattr(sys, "argv", ["sentinel", "probe"])

    def probe():
        say("é 😀")
        say_json({"name": "é 😀"})

    offer(probe)
    assert cli.main() == 0
    text, as_json = raw.getvalue().decode().splitlines()
    assert text == r"\xe9 \U0001f600"
    assert json.loads(as_json) == {"name": "é 😀"}


def test_who_interrupts_while_commands_are_imported_reads_no_traceback(monkeypatch, capsys):
    monkeypatch.setattr(program, "run", raising_at_once(KeyboardInterrupt()))
    assert cli.main() == 130
    assert capsys.readouterr().err == ""


def test_an_interrupt_waits_until_a_command_is_imported(monkeypatch, tmp_path):
    """Compiled packages abort the process where it comes while they set themselves up."""
    (tmp_path / "interrupted_probe.py").write_text("import signal\nsignal.raise_signal(signal.SIGINT)\ndone = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # who runs the tests may ignore it
    try:
        with pytest.raises(KeyboardInterrupt):
            Command("interrupted_probe:done", "").load()
    finally:
        signal.signal(signal.SIGINT, before)
    assert sys.modules.pop("interrupted_probe").done
    assert signal.pthread_sigmask(signal.SIG_BLOCK, set()) == set()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "/etc/x"), "`/etc/x`: Permission denied"),
        (OSError(errno.ENAMETOOLONG, "File name too long", b"aa"), "`aa`: File name too long"),
    ],
)
def test_what_the_system_refuses_of_a_file_is_one_line_and_code_2(offer, capsys, error, said):
    offer(raising(error))
    assert run(["probe"]) == 2
    assert capsys.readouterr().err == f"sentinel: {said}\n"


def test_what_the_system_refuses_of_no_file_is_a_fault(offer):
    offer(raising(OSError(errno.EBADF, "Bad file descriptor")))
    with pytest.raises(OSError, match="Bad file descriptor"):
        run(["probe"])


def test_the_shell_can_complete_a_command():
    asked = {"_SENTINEL_COMPLETE": "complete_bash", "COMP_WORDS": "sentinel vers", "COMP_CWORD": "1"}
    ran = subprocess.run([*ENTRY], env=os.environ | asked, capture_output=True, text=True, timeout=300)
    assert ran.stdout.split() == ["version"]


@pytest.mark.parametrize(
    ("package", "extra"), [("redis.asyncio", "redis"), ("psycopg", "postgres"), ("yaml", "server")]
)
def test_a_missing_package_names_the_extra_that_brings_it(package, extra, monkeypatch, capsys):
    monkeypatch.setattr(program, "run", raising_with(package))
    assert cli.main() == 2
    assert f"pip install 'sentinel-playbooks[{extra}]'" in capsys.readouterr().err


def test_a_missing_module_of_our_own_is_a_fault_not_an_extra(monkeypatch):
    monkeypatch.setattr(program, "run", raising_with("sentinel.engine.gone"))
    with pytest.raises(ModuleNotFoundError):
        cli.main()


def raising_at_once(error):
    def fail(arguments):
        raise error

    return fail


def raising_with(package):
    def fail(arguments):
        raise ModuleNotFoundError(f"No module named {package!r}", name=package)

    return fail
