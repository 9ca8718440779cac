"""`sentinel import-sigma`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sentinel.cli.terminal import many, plain, say
from sentinel.core.errors import SentinelError

if TYPE_CHECKING:
    from sentinel.compat.sigma.playbooks import Imported

_SHOWN = 20  # fields that nobody said what they are


def import_sigma(
    paths: Annotated[list[Path], typer.Argument(help="Files and folders of Sigma rules.", metavar="FILE")],
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Write into this folder, below `rules` and `playbooks`.", metavar="FOLDER"),
    ] = None,
    field: Annotated[
        list[str] | None, typer.Option("--field", help="Our name for a field of theirs.", metavar="THEIRS=OURS")
    ] = None,
    any_source: Annotated[
        bool, typer.Option("--any-source", help="Also take rules about other kinds of logs.")
    ] = False,
) -> int:
    """Turn Sigma rules and correlations into rules and playbooks that monitor; report what cannot be turned."""
    if find_spec("sigma") is None:
        raise SentinelError("pySigma is not installed", "pip install 'sentinel-playbooks[sigma]'")
    from sentinel.compat.sigma import importing
    from sentinel.compat.sigma.playbooks import field_names

    imported = importing.import_sigma(importing.read(paths), field_names(field or ()), any_source)
    for report in imported.reports:
        print(plain(str(report)), file=sys.stderr)  # noqa: T201
    documents = [*imported.rules, *imported.playbooks]
    if out is None and documents:
        say(importing.text(documents).rstrip())
    elif out is not None:
        _write(out / "rules", ((one["rule"], importing.text([one])) for one in imported.rules))
        _write(out / "playbooks", ((one["playbook"], importing.text([one])) for one in imported.playbooks))
    if len(imported.unknown) > 1:
        print(plain(_unknown(imported)), file=sys.stderr)  # noqa: T201
    print(plain(_counted(imported)), file=sys.stderr)  # noqa: T201
    return int(any(report.lost for report in imported.reports))


def _write(folder: Path, files: Iterable[tuple[Any, str]]) -> None:
    """Write new files; raises SentinelError where one is there already, before any is written."""
    found = {folder / f"{name}.yaml": text for name, text in files}
    for path in found:
        if path.exists():
            raise SentinelError(f"`{path}` exists", "write into an empty folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in found.items():
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SentinelError(f"`{folder}` cannot be written: {error.strerror}") from None


def _unknown(imported: Imported) -> str:
    most = imported.unknown.most_common(_SHOWN)
    told = ", ".join(f"{name[:60]} ({count})" for name, count in most)
    return f"fields that are not known, and how many rules ask for them: {told}" + ("" if len(most) < _SHOWN else ", …")


def _counted(imported: Imported) -> str:
    lost = sum(report.lost for report in imported.reports)
    return f"{many(len(imported.rules), 'rule')}, {many(len(imported.playbooks), 'playbook')}; {lost} not imported"
