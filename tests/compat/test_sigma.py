"""Sigma rules mean here what they mean there: ours and a naive reading agree, and nothing is lost in silence."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from sentinel.cli.program import run
from sentinel.compat.sigma import importing
from sentinel.compat.sigma.playbooks import field_names
from sentinel.core.errors import InputError, SentinelError
from sentinel.core.event import read
from sentinel.engine.engine import Engine
from sentinel.engine.memory import Memory
from sentinel.loader.assembly import assemble
from sentinel.windows.groups import Limits
from sentinel.windows.memory import MemoryWindows
from tests.compat import naive_sigma

WINDOW = 10  # seconds
BASE = 1_767_571_200
SECOND = 1_000_000

events = st.fixed_dictionaries(
    {"event": st.sampled_from(["auth", "Auth", "page.viewed"])},
    optional={
        "ip": st.sampled_from(["10.0.0.1", "203.0.113.9", "2001:db8::1"]),
        "device": st.sampled_from(["", "Phone", "phone", "a*b", "laptop"]),
        "request": st.fixed_dictionaries(
            {},
            optional={"status": st.sampled_from([200, 404]), "path": st.sampled_from(["/", "/Admin/x.php", "/\nb"])},
        ),
        "properties": st.fixed_dictionaries(
            {}, optional={"n": st.sampled_from([0, 3, 2.5, "3", True]), "t": st.sampled_from(["x", "X", "xy", ""])}
        ),
    },
)
items = st.sampled_from(
    [
        {"event": "auth"}, {"event|cased": "auth"}, {"event": ["page.viewed", "signup"]}, {"event|contains": "VIEW"},
        {"ip|cidr": "10.0.0.0/8"}, {"ip|cidr": ["10.0.0.0/8", "2001:db8::/32"]}, {"ip": "203.0.113.9"},
        {"device": "phone"}, {"device|cased": "Phone"}, {"device|startswith": "PH"}, {"device": "*o*"},
        {"device": "p?one"}, {"device": r"a\*b"}, {"device": ""}, {"device": None}, {"device|exists": True},
        {"device|exists": False}, {"device|endswith|cased": "one"}, {"device|contains|all": ["ph", "ne"]},
        {"request.status": 404}, {"request.status": [200, 404]}, {"request.status|gte": 300},
        {"request.path|startswith": "/admin"}, {"request.path|endswith": ".php"}, {"request.path": "/*b"},
        {"request.path|re": "^/A.*php$"}, {"request.path|re|i": "admin"}, {"properties.n": 3}, {"properties.n": "3"},
        {"properties.n|gt": 2.5}, {"properties.n|lt": 3}, {"properties.t": ["x", "z"]}, {"properties.t|cased": "X"},
        {"properties.t": "x*"}, {"properties.t": "*"}, {"properties.missing": None}, {"properties.missing": "x"},
    ]
)  # fmt: skip
CONDITIONS = ["a", "a and b", "a or b", "a and not b", "not a", "not (a or b)", "not (a and not b) and c", "a or not c"]


@st.composite
def rules(draw: Any) -> dict[str, Any]:
    def selection() -> Any:
        maps = draw(st.lists(st.lists(items, min_size=1, max_size=2), min_size=1, max_size=2))
        merged = [{key: value for one in parts for key, value in one.items()} for parts in maps]
        return merged[0] if len(merged) == 1 else merged

    condition = draw(st.sampled_from(CONDITIONS))
    detection = {name: selection() for name in "abc" if name in condition.replace("and", "").replace("not", "")}
    return {
        "title": draw(st.sampled_from(["One", "Two"])), "logsource": {"product": "sentinel"},
        "detection": detection | {"condition": condition},
    }  # fmt: skip


def imported(*documents: dict[str, Any], **options: Any) -> importing.Imported:
    """What a file of these documents amounts to."""
    return importing.import_sigma({"file.yml": yaml.safe_dump_all(documents, sort_keys=False).encode()}, **options)


def content(found: importing.Imported):
    """Ours as `sentinel check` reads it."""
    return assemble({"all.yaml": importing.text([*found.rules, *found.playbooks]).encode()})


def _never(found: importing.Imported) -> bool:
    """Say whether nothing was made of a rule because a part of it holds for no event."""
    return any(report.lost and "this can never hold" in report.message for report in found.reports)


def test_of_a_rule_with_a_part_that_holds_for_no_event_nothing_is_made_and_it_is_said():
    assert _never(imported(base("x", **{"device|cased": "Phone", "device|exists": False})))


@given(rules(), st.lists(events, min_size=1, max_size=8))
def test_a_rule_holds_for_the_events_that_it_holds_for_in_sigma(rule, raws):
    found = imported(rule)
    assume(not _never(found))
    assert not [report for report in found.reports if report.lost], found.reports
    (ours,) = content(found).rules.values()
    for number, raw in enumerate(raws):
        event = read({**raw, "id": str(number), "timestamp": BASE})
        assert ours.where.matches(event) == naive_sigma.matches(rule, raw), (found.rules, raw)


def correlation(kind: str, names: list[str], **more: Any) -> dict[str, Any]:
    return {
        "title": "Together",
        "correlation": {"type": kind, "rules": names, "timespan": f"{WINDOW}s", "group-by": ["ip"], **more},
    }


def base(name: str, **selection: Any) -> dict[str, Any]:
    return {
        "title": name, "name": name, "logsource": {"product": "sentinel"},
        "detection": {"a": selection, "condition": "a"},
    }  # fmt: skip


BASES = {
    "one": base("one", event="one"),
    "two": base("two", event="two"),
    "big": base("big", **{"properties.n|gte": 5}),  # an event of any name may be this too
}
CORRELATIONS = [
    correlation("event_count", ["one"], condition={"gte": 3}),
    correlation("event_count", ["one", "big"], condition={"gt": 3}),
    correlation("value_count", ["one"], condition={"gte": 2, "field": "user"}),
    correlation("value_sum", ["big"], condition={"gte": 13, "field": "properties.n"}),
    correlation("value_avg", ["one"], condition={"gte": 4, "field": "properties.n"}),
    correlation("temporal", ["one", "two"]),
    correlation("temporal", ["one", "big"]),
    correlation("temporal", ["one", "two", "big"]),
    correlation("temporal_ordered", ["one", "two"]),
    correlation("temporal_ordered", ["big", "one", "two"]),
]


@st.composite
def streams(draw: Any) -> list[dict[str, Any]]:
    """Events in order, each at a moment of its own: a mean is judged when its event arrives."""
    at, found = BASE, []
    for number in range(draw(st.integers(1, 14))):
        at += draw(st.sampled_from([1, 2, 4, 9, 10, 11]))
        found.append(
            {"id": f"{number:03}", "timestamp": at, "event": draw(st.sampled_from(["one", "two", "other"])),
             "user": draw(st.sampled_from(["u1", "u2"])), "properties": {"n": draw(st.integers(0, 9))}}
            | draw(st.fixed_dictionaries({}, optional={"ip": st.sampled_from(["203.0.113.1", "203.0.113.2"])}))
        )  # fmt: skip
    return found


def groups(playbooks: Any, raws: list[dict[str, Any]]) -> set[tuple[Any, ...]]:
    """The groups in which any of the playbooks finds something."""
    found = set()
    engine = Engine(list(playbooks), lateness=60 * SECOND)
    windows, memory, newest = MemoryWindows(engine.watches(), Limits(lateness=60 * SECOND)), Memory(), 0
    for raw in raws:
        events = [read(dict(raw))]
        matched = engine.match(events, newest)
        newest = matched.newest
        for finding in engine.respond(windows.hit(matched.hits, newest), events, memory, newest).findings:
            found.add(tuple(finding.group.values()))
    return found


@pytest.mark.parametrize("number", range(len(CORRELATIONS)))
@given(raws=streams())
def test_a_correlation_fires_for_the_groups_for_which_it_holds_in_sigma(number, raws):
    document = CORRELATIONS[number]
    found = imported(*BASES.values(), document)
    assert not [report for report in found.reports if report.lost], found.reports
    ours = [one for one in content(found).playbooks.values() if one.title == "Together"]
    wanted = naive_sigma.fires(document["correlation"], BASES, raws, WINDOW)
    assert groups(ours, raws) == wanted


def test_the_streams_of_these_tests_fire_and_do_not():
    """Each correlation holds somewhere and not everywhere, so that agreeing says something."""
    plain = {"user": "u1", "ip": "203.0.113.1"}
    stream = [
        {"id": f"{at:03}", "timestamp": BASE + at, "event": name, "properties": {"n": n}, **plain, "user": f"u{at % 2}"}
        for at, (name, n) in enumerate([("two", 9), ("one", 1), ("one", 8), ("one", 4), ("two", 0), ("other", 9)])
    ]
    for document in CORRELATIONS:
        assert naive_sigma.fires(document["correlation"], BASES, stream, WINDOW) == {("203.0.113.1",)}
        assert naive_sigma.fires(document["correlation"], BASES, [stream[4]], WINDOW) == set()


@given(rules())
def test_a_rule_that_no_correlation_takes_fires_by_itself(rule):
    found = imported(rule)
    assume(not _never(found))
    (playbook,) = content(found).playbooks.values()
    raws = [{"id": "a", "timestamp": BASE, "event": "auth", "device": "Phone", "request": {"status": 404}}]
    assume(naive_sigma.matches(rule, raws[0]))
    assert groups([playbook], raws) == {()}


@pytest.mark.parametrize(
    ("documents", "message"),
    [
        ([base("x", **{"nowhere.field": "x"})], "the field `nowhere.field` is not known"),
        ([base("x", event="a") | {"logsource": {"product": "windows"}}], "logs of product windows"),
        ([base("x") | {"detection": {"a": ["word"], "condition": "a"}}], "keywords"),
        ([base("x", **{"properties.x|re": "a(?=b)"})], "a(?=b)"),
        ([base("x", success="perhaps")], "`perhaps` for `success`"),
        ([base("x", **{"request.status": "40*"})], "`40*` for `request.status`"),
        ([base("x", **{"properties.x|expand": "%list%"})], "placeholder"),
        ([base("x", **{"timestamp|hour": 3})], "a part of a time"),
        ([base("x", event="a") | {"detection": {"condition": "a"}}], ""),
        ([BASES["one"], correlation("event_count", ["one"], condition={"lt": 3})], "`lt`"),
        (
            [BASES["one"], correlation("event_count", ["none"], condition={"gte": 3})],
            "it names `none`, a rule that is not in these files",
        ),
        ([BASES["one"], correlation("event_count", ["one"], condition={"gte": 0.5})], ""),
        ([BASES["one"], correlation("value_median", ["one"], condition={"gte": 3, "field": "user"})], "value_median"),
        ([BASES["one"], correlation("temporal", ["one"], condition="one and not two")], "not defined in rules list"),
        (
            [BASES["one"], BASES["two"], correlation("temporal", ["one", "two"], condition="one or two")],
            "words over rules",
        ),
        ([*BASES.values(), correlation("temporal", ["one", "two"], condition={"gte": 1})], "some of its rules"),
        (
            [*BASES.values(), base("four", event="four"), correlation("temporal", ["one", "two", "big", "four"])],
            "`temporal` over 4 rules",
        ),
    ],
)
def test_what_has_no_like_is_reported_and_never_half_imported(documents, message):
    found = imported(*documents)
    lost = [report for report in found.reports if report.lost]
    assert len(lost) == 1 and message in lost[0].message, found.reports
    assert len(found.rules) == sum("correlation" not in one for one in documents) - (lost[0].rule in ("x", "odd"))
    assert not [one for one in found.playbooks if one["title"] == lost[0].rule]
    content(found)


def test_what_rests_on_a_rule_that_was_lost_is_lost_too_and_says_so():
    found = imported(base("odd", **{"nowhere.x": 1}), correlation("event_count", ["odd"], condition={"gte": 3}))
    assert [report.rule for report in found.reports if report.lost] == ["odd", "Together"]
    assert "`odd`, which it needs, was not imported" in found.reports[1].message
    assert (found.rules, found.playbooks) == ([], [])


def test_of_a_correlation_of_correlations_it_is_said_what_to_write_instead():
    many = correlation("event_count", ["one"], condition={"gte": 3}) | {"title": "Many", "name": "many"}
    found = imported(BASES["one"], BASES["two"], many, correlation("temporal_ordered", ["many", "two"]))
    (lost,) = [report for report in found.reports if report.lost]
    assert "`Many`, which it needs, is a correlation (a `sequence` has steps with a `count`" in lost.message
    assert [one["title"] for one in found.playbooks] == ["Many"]


def test_all_fields_that_are_not_known_are_named_at_once_with_those_of_a_reference():
    asked = {f"their.f{number}": "x" for number in range(9)} | {"ip|fieldref": "their.ip", "event": "a"}
    found = imported(base("x", **asked), base("y", **{"their.f1": "x"}))
    assert found.reports[0].message == (
        "the fields `their.f0`, `their.f1`, `their.f2`, `their.f3`, `their.f4`, `their.f5`, `their.f6`, `their.f7` and "
        "2 more are not known (say what each is: `--field their.f0=…`)"
    )
    assert (found.unknown["their.f1"], found.unknown["their.ip"], found.unknown["event"]) == (2, 1, 0)


def test_a_rule_that_only_a_correlation_wants_has_no_playbook_unless_it_is_to_generate():
    silent = correlation("event_count", ["one"], condition={"gte": 3})
    loud = correlation("event_count", ["one"], condition={"gte": 3}, generate=True)
    assert [one["title"] for one in imported(BASES["one"], silent).playbooks] == ["Together"]
    assert [one["title"] for one in imported(BASES["one"], loud).playbooks] == ["one", "Together"]


def test_other_products_names_are_known_and_the_users_own_go_first():
    rule = base("web", **{"cs-method": "POST", "c-ip": "1.2.3.4", "action": "x"})
    found = imported(rule, names=field_names(["action=properties.action", "c-ip=properties.ip"]))
    assert found.rules[0]["where"] == (
        "(lower(request.method) == 'post' and lower(properties.ip) == '1.2.3.4' and lower(properties.action) == 'x')"
    )


@pytest.mark.parametrize("given_name", ["x", "=x", "x="])
def test_a_name_that_says_nothing_is_refused(given_name):
    with pytest.raises(SentinelError, match="says no name"):
        field_names([given_name])


@pytest.mark.parametrize("data", [b"\xff", b"a: [", b"- 1", b"x", b"{}", b"", b"title: x\ncorrelation: 3"])
def test_what_is_no_sigma_rule_is_reported_and_no_fault(data):
    found = importing.import_sigma({"file.yml": data})
    assert (found.rules, found.playbooks) == ([], [])
    assert bool(found.reports) == bool(data)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"- 1", "no Sigma rule: a rule is a table, with `title`, `logsource` and `detection`"),
        (b'{"a": 1}\n{"b": 2}', "no YAML: expected '<document start>', but found '{' (line 2)"),
    ],
)
def test_of_what_is_no_sigma_rule_it_is_said_what_one_is(data, said):
    (report,) = importing.import_sigma({"file.yml": data}).reports
    assert str(report) == f"file.yml: not imported: {said}"


def test_two_rules_of_one_title_get_ids_of_their_own():
    found = imported(base("Same!", event="a"), base("same", event="b"))
    assert [one["rule"] for one in found.rules] == ["same", "same-2"]
    assert len({one["playbook"] for one in found.playbooks} | {one["rule"] for one in found.rules}) == 4


def test_what_its_author_says_is_kept():
    rule = base("x", event="a") | {
        "id": "3f2c9b1e-8a4d-4d6b-9f2e-1c7a5b3d9e10", "description": "Why.", "level": "critical",
        "falsepositives": ["tests"],
    }  # fmt: skip
    (playbook,) = imported(rule).playbooks
    assert playbook["description"].splitlines() == [
        "Imported from the Sigma rule 3f2c9b1e-8a4d-4d6b-9f2e-1c7a5b3d9e10.", "Why.", "False positives: tests."
    ]  # fmt: skip
    assert (playbook["severity"], playbook["mode"]) == ("critical", "monitor")


def test_a_filter_narrows_its_rules_and_one_that_meets_none_is_reported():
    sigma = {"title": "f", "logsource": {"product": "sentinel"}}
    used = sigma | {"filter": {"rules": ["one"], "a": {"ip": "10.0.0.1"}, "condition": "not a"}}
    found = imported(BASES["one"], used)
    assert not found.reports
    assert found.rules[0]["where"] == "(lower(event) == 'one' and not coalesce(ip == '10.0.0.1', False))"
    unused = sigma | {"filter": {"rules": ["none"], "a": {"ip": "10.0.0.1"}, "condition": "not a"}}
    assert [str(report) for report in imported(BASES["one"], unused).reports] == [
        "file.yml: f: not imported: it applies to no rule of these files"
    ]


def test_a_timeframe_without_a_correlation_is_told():
    rule = base("x", event="a")
    rule["detection"]["timeframe"] = "5m"
    found = imported(rule)
    assert [report.lost for report in found.reports] == [False] and len(found.rules) == 1


@pytest.mark.parametrize(
    "condition", ["(" * 300 + "a" + ")" * 300, "not " * 2000 + "a", "a | count() > 5", "a and none"]
)
def test_a_condition_that_cannot_be_read_is_reported(condition):
    odd = base("x") | {"detection": {"a": {"event": "b"}, "condition": condition}}
    found = imported(odd, base("y", event="b"))
    assert "x" in {one["rule"] for one in found.rules} or [one.rule for one in found.reports if one.lost] == ["x"]
    assert "y" in {one["rule"] for one in found.rules}


def test_the_command_writes_folders_that_pass_check(tmp_path, capsys):
    file = tmp_path / "sigma.yml"
    file.write_text(yaml.safe_dump_all([*BASES.values(), *CORRELATIONS]))
    assert run(["import-sigma", str(file), "--out", str(tmp_path / "out")]) == 0
    assert run(["check", str(tmp_path / "out")]) == 0
    said = capsys.readouterr()
    assert "no mistakes" in said.out
    assert "0 not imported" in said.err
    assert run(["import-sigma", str(file), "--out", str(tmp_path / "out")]) == 2


def test_the_command_ends_with_1_where_something_is_lost_and_says_what(tmp_path, capsys):
    (tmp_path / "a.yml").write_text(yaml.safe_dump(base("x", **{"nowhere.x": 1})))
    (tmp_path / "b.yaml").write_text(yaml.safe_dump(BASES["one"]))
    assert run(["import-sigma", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert "x: not imported: the field `nowhere.x` is not known" in said.err
    assert "how many rules ask" not in said.err, "of one field alone it is told already"
    assert yaml.safe_load_all(said.out) and "rule: one" in said.out


def test_the_command_tells_at_its_end_which_fields_most_rules_ask_for(tmp_path, capsys):
    documents = [base("x", **{"nowhere.x": 1, "nowhere.y": 1}), base("y", **{"nowhere.y": 1})]
    (tmp_path / "a.yml").write_text(yaml.safe_dump_all(documents))
    assert run(["import-sigma", str(tmp_path)]) == 1
    told = "fields that are not known, and how many rules ask for them: nowhere.y (2), nowhere.x (1)"
    assert capsys.readouterr().err.splitlines()[-2:] == [told, "0 rules, 0 playbooks; 2 not imported"]


def test_where_nothing_is_imported_the_command_writes_nothing(tmp_path, capsys):
    (tmp_path / "a.yml").write_text("- 1")
    assert run(["import-sigma", str(tmp_path)]) == 1
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("selection", "where"),
    [
        ({"user": "Bob"}, "lower(user) == 'id:bob'"),
        ({"user": "email:A@b.example"}, "lower(user) == 'email:a@b.example'"),
        ({"user|cased": "Bob"}, "user == 'id:Bob'"),
        ({"user|endswith": "Bob"}, "endswith(lower(user), 'bob')"),
        ({"c-ip": "2001:0DB8:0:0::1"}, "ip == '2001:db8::1'"),
        ({"c-ip": "192.168.*"}, "startswith(lower(ip), '192.168.')"),
        ({"source.geo.country_iso_code": "de"}, "geo.country == 'DE'"),
        ({"user.email": "A@B.example"}, "user.email == 'a@b.example'"),
    ],
)
def test_a_value_is_asked_for_as_it_is_written_here(selection, where):
    """A key has its kind before it, an address one spelling: compared as Sigma has them, none would ever be met."""
    assert imported(base("x", **selection)).rules[0]["where"] == where


@pytest.mark.parametrize(
    ("documents", "rule", "message"),
    [
        ([base("x", **{"c-ip": "10.0.0.0/8"})], "x", "`ip` is one address"),
        ([base("x", **{"source.geo.country_iso_code": "Germany"})], "x", "`geo.country` is two capital letters"),
        ([base("x", **{"user|startswith": "adm"})], "x", "`adm…` for `user`"),
        ([base("x", event="a") | {"status": "unsupported"}], "x", "its status is `unsupported`"),
        ([{"action": "twice", "title": "x"}], "file.yml", "Unknown Sigma collection action 'twice'"),
        (
            [BASES["one"], correlation("event_count", ["one"], condition={"gte": 3}, groupby=["ip"])],
            "Together", "`correlation.groupby` is not known (did you mean `group-by`?)",
        ),
        (
            [BASES["one"], correlation("event_count", ["one"], condition={"gte": 3}, where="x == 1")],
            "Together", "`correlation.where` is not known (known: type, rules,",
        ),
        (
            [BASES["one"], base("one", event="two"), correlation("event_count", ["one"], condition={"gte": 3})],
            "Together", "`one`, which it needs, is the name of several rules",
        ),
        (
            [BASES["one"], correlation("event_count", ["one"], condition={"gt": 3, "lte": 9})],
            "Together", "exactly one condition",
        ),
    ],
)  # fmt: skip
def test_what_would_be_lost_or_mean_something_else_in_silence_is_reported_once(documents, rule, message):
    found = imported(*documents)
    (report,) = [one for one in found.reports if one.lost]
    assert report.rule == rule and message in report.message
    assert str(report).startswith("file.yml: ")
    assert rule not in [one["title"] for one in (*found.rules, *found.playbooks)]


def test_of_a_rule_that_is_lost_only_the_reason_is_told():
    lost = base("x", **{"nowhere.x": 1}) | {"status": "deprecated", "logsource": {"category": "webserver"}}
    (report,) = imported(lost).reports
    assert report.lost and "nowhere.x" in report.message


def test_aliases_without_end_are_reported():
    lines = ["a0: &a0 [x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9))]
    (report,) = importing.import_sigma({"file.yml": "\n".join([*lines, "title: x", "b: *a8"]).encode()}).reports
    assert report.lost and "aliases expand" in report.message


def test_a_deprecated_rule_and_another_taxonomy_are_told():
    found = imported(base("x", event="a") | {"status": "deprecated", "taxonomy": "theirs"})
    assert [report.message.partition(":")[0] for report in found.reports] == [
        "its status is `deprecated`", "its taxonomy is `theirs`"
    ]  # fmt: skip
    assert not any(report.lost for report in found.reports) and len(found.playbooks) == 1


def test_a_folder_within_that_cannot_be_read_is_said_and_hidden_ones_are_passed_over(tmp_path, monkeypatch):
    """Its rules would be missing among those that were imported, and nobody would know."""
    for name in (".github", "closed"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.yml").write_text("- 1")
    (tmp_path / "b.yml").write_text(yaml.safe_dump(BASES["one"]))
    assert [Path(name).name for name in importing.read([tmp_path])] == ["b.yml", "a.yml"]
    really = os.scandir

    def scandir(path):
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied", str(path))
        return really(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(InputError, match=r"the folder `.*closed` cannot be read: Permission denied"):
        importing.read([tmp_path])


def test_a_file_that_is_not_there_is_said(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        importing.read([tmp_path / "none.yml"])
