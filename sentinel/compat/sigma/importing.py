"""Read, translate and check Sigma files: what is written passes `sentinel check`, the rest is reported."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml
from sigma.collection import SigmaCollection
from sigma.exceptions import SigmaError
from sigma.filters import SigmaFilter
from sigma.rule import SigmaRule

from sentinel.compat.sigma.conditions import Fields
from sentinel.compat.sigma.playbooks import FILE, Document, Imported, Report, report, translate
from sentinel.core.errors import InputError
from sentinel.loader.assembly import assemble
from sentinel.loader.content import below
from sentinel.loader.mistakes import PlaybookErrors

LARGEST = 4 << 20  # bytes of one file
_CORRELATION = ("type", "rules", "group-by", "timespan", "condition", "aliases", "generate")


def read(paths: Iterable[Path]) -> dict[str, bytes]:
    """Return the files of paths, folders with everything below them; raises InputError for what cannot be read."""
    found: dict[str, bytes] = {}
    for path in paths:
        for file in below(path):
            try:
                if file.stat().st_size > LARGEST:
                    raise InputError(f"`{file}` is larger than {LARGEST >> 20} MiB")
                found[str(file)] = file.read_bytes()
            except OSError as error:
                raise InputError(f"`{file}` cannot be read: {error.strerror}") from None
    return found


def import_sigma(
    files: Mapping[str, bytes], names: Mapping[str, str] | None = None, any_source: bool = False
) -> Imported:
    """Return what files of Sigma rules amount to, by name of file. `names` maps their fields to ours."""
    rules: list[Any] = []
    filters: list[SigmaFilter] = []
    reports: list[Report] = []
    for name, data in files.items():
        try:
            documents = list(yaml.safe_load_all(data.decode("utf-8-sig")))
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            reports.append(Report(name, f"no YAML: {_slip(error)}"))
            continue
        for found in _parsed(name, documents, reports):
            rules += found.rules
            filters += found.filters
    rules = _filtered(rules, filters, reports)
    collection = SigmaCollection(rules, resolve_references=False)
    imported = translate(collection, Fields(names or {}), any_source)
    imported.reports[:0] = reports
    _check(imported)
    return imported


def _parsed(name: str, documents: list[Any], reports: list[Report]) -> list[SigmaCollection]:
    """Return what a file's documents say: all together, or each alone where one cannot be read."""
    documents = [document for document in documents if not _misspelt(name, document, reports)]
    try:
        found = SigmaCollection.from_dicts(
            deepcopy(documents), collect_errors=True, collect_filters=True, resolve_references=False
        )
    except Exception as error:  # noqa: BLE001  whatever a parser says of a stranger's file is reported
        if len(documents) > 1:
            return [one for document in documents for one in _parsed(name, [document], reports)]
        document = documents[0] if documents else None
        if isinstance(document, dict):
            reports.append(_report(name, document, _line(error)))
        else:
            reports.append(Report(name, "no Sigma rule: a rule is a table, with `title`, `logsource` and `detection`"))
        return []
    for document in documents:
        detection = document.get("detection") if isinstance(document, dict) else None
        if isinstance(detection, dict) and "timeframe" in detection:
            told = "`timeframe` is passed over: a correlation says it now"
            reports.append(_report(name, document, told, lost=False))
    rules = (*found.rules, *found.filters)
    for rule in rules:
        rule.custom_attributes[FILE] = name
    own = {id(error) for rule in rules for error in rule.errors}
    reports += [Report(name, _line(error)) for error in found.errors if id(error) not in own]
    return [found]


def _misspelt(name: str, document: Any, reports: list[Report]) -> bool:
    """Say whether a correlation has a field that is none, which would be passed over in silence."""
    correlation = document.get("correlation") if isinstance(document, dict) else None
    unknown = [str(key) for key in correlation if key not in _CORRELATION] if isinstance(correlation, dict) else []
    if unknown:
        close = difflib.get_close_matches(unknown[0], _CORRELATION, 1)
        hint = f"did you mean `{close[0]}`?" if close else f"known: {', '.join(_CORRELATION)}"
        reports.append(_report(name, document, f"`correlation.{unknown[0][:40]}` is not known ({hint})"))
    return bool(unknown)


def _report(name: str, document: Mapping[str, Any], message: str, lost: bool = True) -> Report:
    title = document.get("title")
    return Report(_line(title)[:80], message, lost, name) if title else Report(name, message, lost)


def _filtered(rules: list[Any], filters: list[SigmaFilter], reports: list[Report]) -> list[Any]:
    """Return the rules with every filter applied; one that applies to none of them is reported."""
    for one in filters:
        before = [_detections(rule) for rule in rules]
        why = "it applies to no rule of these files"
        try:
            rules = [rule if one.errors else one.apply_on_rule(rule) for rule in rules]
        except SigmaError as error:
            why = _line(error)
        if before == [_detections(rule) for rule in rules]:
            reports.append(report(one, one.errors[0] if one.errors else why))
    return rules


def _detections(rule: Any) -> int:
    return len(rule.detection.detections) if isinstance(rule, SigmaRule) else 0


def text(documents: Iterable[Document]) -> str:
    """Return documents as YAML."""
    return "---\n".join(yaml.safe_dump(one, sort_keys=False, allow_unicode=True, width=110) for one in documents)


def _check(imported: Imported) -> None:
    """Take out what `sentinel check` refuses, and what rests on it, and report why."""
    while True:
        named = {_id(one): one for one in (*imported.rules, *imported.playbooks)}
        try:
            assemble({id: text([one]).encode() for id, one in named.items()})
            return
        except PlaybookErrors as errors:
            bad: dict[str, str] = {}
            for mistake in errors.mistakes:
                bad.setdefault(mistake.place.file, mistake.message)
        lost_rules = {id for id in bad if "rule" in named[id] and "playbook" not in named[id]}
        for id, one in named.items():
            needed = {one.get("rule"), *(step.get("rule") for step in one.get("sequence", ()))} & lost_rules
            if "playbook" in one and needed and id not in bad:
                rule = needed.pop()
                own = imported.origins[id] is imported.origins[rule]  # of which the reason is told already
                bad[id] = "" if own else f"it needs the rule `{rule}`"
        imported.reports += [report(imported.origins[id], why) for id, why in bad.items() if why]
        imported.rules = [one for one in imported.rules if _id(one) not in bad]
        imported.playbooks = [one for one in imported.playbooks if _id(one) not in bad]


def _id(document: Document) -> str:
    return str(document.get("playbook") or document["rule"])


def _slip(error: Exception) -> str:
    """Return what is wrong with a text and where, without the text around it."""
    mark = getattr(error, "problem_mark", None)
    return f"{_line(getattr(error, 'problem', None) or error)} (line {mark.line + 1})" if mark else _line(error)


def _line(error: object) -> str:
    return " ".join(str(error).split())[:300]
