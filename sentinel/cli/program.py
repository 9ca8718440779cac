"""The command line: one table of commands, and how errors become a line and an exit code.

A command is a plain function in its own module, annotated for Typer; it returns its exit code or None and raises
`SentinelError` for what the user can put right. Its module is imported only when it runs. No command's work belongs
here.
"""

from __future__ import annotations

import errno
import gc
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any, NamedTuple

import typer

from sentinel.cli.terminal import complain
from sentinel.cli.version import version
from sentinel.core.errors import SentinelError


class Command(NamedTuple):
    """A function or Typer app, named as `module:attribute`, and its line in the help."""

    place: str
    summary: str

    def load(self) -> Any:
        """Import the command's module and return the command."""
        module, _, attribute = self.place.partition(":")
        gc.disable()  # what is imported stays: to look through it meanwhile takes a sixth of a start
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # compiled packages abort where it comes now
        try:
            return getattr(import_module(module), attribute)
        finally:
            gc.enable()
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


COMMANDS = {
    "demo": Command(
        "sentinel.cli.demo:demo", "Attack a small shop that Sentinel protects, and watch it being stopped."
    ),
    "serve": Command("sentinel.cli.serve:serve", "Run the server; the first start creates everything."),
    "backup": Command(
        "sentinel.cli.backup:backup",
        "Back up everything into a folder and check the copy; the server may go on running.",
    ),
    "restore": Command(
        "sentinel.cli.backup:restore",
        "Restore a backup into an empty data folder, or finish the restore of a PostgreSQL database.",
    ),
    "doctor": Command(
        "sentinel.cli.doctor:doctor", "Check the settings, the data folder, the playbooks and the running server."
    ),
    "apps": Command("sentinel.cli.apps:apps", "List, add and change the apps of a server."),
    "keys": Command("sentinel.cli.keys:keys", "Make, list and revoke the keys of an app."),
    "accounts": Command(
        "sentinel.cli.accounts:accounts", "List, invite, change and remove the people who use the console."
    ),
    "decisions": Command("sentinel.cli.decisions:decisions", "List decisions, make them by hand, lift them."),
    "allow": Command(
        "sentinel.cli.allow:allow",
        "List, add and remove allowances: users, addresses and networks that no playbook acts on.",
    ),
    "labels": Command(
        "sentinel.cli.labels:labels", "List the labels of users and addresses, put them on and take them off."
    ),
    "deliveries": Command(
        "sentinel.cli.deliveries:deliveries", "List notifications and webhooks, and try again those that were given up."
    ),
    "audit": Command("sentinel.cli.audit:audit", "Show who did what, when and why, newest first."),
    "users": Command("sentinel.cli.users:users", "Delete what is stored about a person."),
    "events": Command("sentinel.cli.events:events", "Search events, newest first, or follow them as they come."),
    "migrate": Command(
        "sentinel.cli.migrate:migrate",
        "Copy a data folder into an empty PostgreSQL database and compare both; run it again to go on after a stop.",
    ),
    "import": Command(
        "sentinel.cli.importing:import_events", "Send past events to a server; they act on nobody unless told to."
    ),
    "import-sigma": Command(
        "sentinel.cli.sigma:import_sigma",
        "Turn Sigma rules and correlations into rules and playbooks that monitor; report what cannot be turned.",
    ),
    "check": Command("sentinel.cli.check:check", "Check rules and playbooks; report every mistake of every file."),
    "test": Command(
        "sentinel.cli.test:test",
        "Run the tests inside rules and playbooks: one line for each test, exit code 1 if one fails.",
    ),
    "backtest": Command("sentinel.cli.backtest:backtest", "Judge playbooks on past events before they act."),
    "suggest": Command(
        "sentinel.cli.suggest:suggest", "Suggest thresholds, from how high tallies were on past events."
    ),
    "explain": Command(
        "sentinel.cli.explain:explain",
        "Explain why an event counts or not, how near a group is to a finding, or why a decision was made.",
    ),
    "schema": Command("sentinel.cli.schema:schema", "Print the JSON Schema of rules and playbooks, for editors."),
    "functions": Command("sentinel.cli.functions:functions", "List the functions that conditions may call."),
    "version": Command("sentinel.cli.version:version", "Print the version."),
}


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code: 0 done, 1 its answer is no, 2 the user can put it right."""
    try:
        code = _invoke(arguments)
        sys.stdout.flush()
        return code
    except SentinelError as error:
        complain(str(error))
        return error.exit_code
    except typer.TyperException as error:
        _tell(error)
        return error.exit_code
    except BrokenPipeError:
        _write_no_more()
        return 1
    except OSError as error:
        complain(_refused(error))
        return 2


def _refused(error: OSError) -> str:
    """Say what the system refused of a file that was named or of the output; raises the error where it is neither."""
    if error.filename is not None:
        return f"`{os.fsdecode(error.filename)}`: {error.strerror}"
    if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
        raise error
    _write_no_more()
    return f"the output cannot be written: {error.strerror}"


def _write_no_more() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the flush at exit must not fail again


def assemble(wanted: str | None, *, everything: bool = False) -> typer.Typer:
    """Build the Typer app; of its commands only `wanted` is imported, unless `everything` is."""
    app = typer.Typer(name="sentinel", rich_markup_mode=None, invoke_without_command=True, callback=_sentinel)
    for name, command in COMMANDS.items():
        target = command.load() if everything or name == wanted else _not_loaded
        if isinstance(target, typer.Typer):
            app.add_typer(target, name=name, help=command.summary)
        else:
            app.command(name, short_help=command.summary)(target)
    return app


def _invoke(arguments: Sequence[str]) -> int:
    wanted = next((word for word in arguments if not word.startswith("-")), None)
    app = assemble(wanted, everything="_SENTINEL_COMPLETE" in os.environ)
    program = typer.main.get_command(app)
    result = program.main(args=list(arguments), prog_name="sentinel", standalone_mode=False)
    return result if isinstance(result, int) else 0


def _tell(error: typer.TyperException) -> None:
    message = error.format_message()
    if message.startswith("Usage:"):  # a group without a command
        typer.echo(message, err=True)
        return
    message = message.rstrip(".").replace(": Value error, ", ": ").replace(": Input should", ": it should")
    message = message.replace("be a valid integer, unable to parse string as an integer", "be a whole number")
    message = message[:1].lower() + message[1:]
    context = getattr(error, "ctx", None)
    complain(f"{message} (try `{context.command_path} --help`)" if context else message)


def _not_loaded() -> None:
    raise AssertionError("a command ran that was not loaded")


def _show_version(wanted: bool) -> None:
    if wanted:
        version()
        raise typer.Exit


def _sentinel(
    context: typer.Context,
    show_version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> int:
    """Playbooks over a product's events: detect abuse, decide, enforce."""
    if context.invoked_subcommand is not None:
        return 0
    typer.echo(context.get_help(), err=True)
    return 2
