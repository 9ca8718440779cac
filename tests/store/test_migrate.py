"""Migrations: they make exactly what the models say, once, in one transaction."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import event, inspect

from sentinel.core.errors import StoreError
from sentinel.store import migrate, tables
from sentinel.store.changes import Change
from sentinel.store.decisions import Decisions, Revisions
from sentinel.store.embedded.control import Control
from sentinel.store.findings import Findings, open_new
from sentinel.store.standing import Allow
from tests.contract.values import NOW, finding


@pytest.fixture
def control(tmp_path):
    opened = Control(tmp_path / "a.sqlite3")
    yield opened
    opened.close()


def test_the_migrations_make_what_the_models_say(control):
    with control.write() as connection:
        assert migrate.migrate(connection, "x") is True
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, tables.METADATA) == []


def test_the_migrations_make_the_very_statements_of_the_models(control, tmp_path):
    """Names, order and uniqueness of columns, keys and indexes; SQLite keeps the text."""
    with control.write() as connection:
        migrate.migrate(connection, "x")
    plain = Control(tmp_path / "b.sqlite3")
    with plain.write() as connection:
        tables.METADATA.create_all(connection)
    assert statements(tmp_path / "a.sqlite3") == statements(tmp_path / "b.sqlite3")
    plain.close()


def statements(path: Path) -> set[tuple[str, str]]:
    with sqlite3.connect(path) as connection:
        found = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    connection.close()
    return {(name, "".join(sql.replace('"', "").split())) for name, sql in found if "alembic" not in name}


def test_the_newest_migration_is_the_head():
    config = Config()
    config.set_main_option("script_location", str(Path(migrate.__file__).parent / "migrations"))
    script = ScriptDirectory.from_config(config)
    assert script.get_heads() == [migrate.HEAD]
    revisions = [one.revision for one in script.walk_revisions()]
    assert sorted(revisions, reverse=True) == revisions, "revisions are numbers that grow"


def test_of_a_playbook_only_its_own_decisions_are_looked_through(control):
    """Of three among 300,000 all were, and while they were lifted no event was taken in."""
    with control.write() as connection:
        migrate.migrate(connection, "x")
    decisions, asked = Decisions(control, Revisions(control)), []
    event.listen(control.engine, "before_cursor_execute", lambda *told: asked.append(told[2:4]))
    for now in (None, 1):
        decisions.list("shop", playbook="p", now=now)
    decisions.lift_all("shop", "jane", "why", 1, playbook="p")
    found = [(said, values) for said, values in asked if "FROM decision" in said]
    plans = [control.raw.execute(f"EXPLAIN QUERY PLAN {said}", values).fetchall() for said, values in found]
    used = [step[3] for plan in plans for step in plan if "decision" in step[3]]
    assert len(used) == 3 and all("decision_playbook (app=? AND playbook=?" in step for step in used), used


@pytest.mark.parametrize(("wanted", "index"), [({}, "finding_time"), ({"status": "new"}, "finding_status")])
def test_few_findings_of_a_rare_severity_are_found_in_an_index(control, wanted, index):
    """Of five among 300,000 every body was read and taken apart: a second. To count them took two."""
    with control.write() as connection:
        migrate.migrate(connection, "x")
        opened = [finding(f"f{n}", at=NOW + n, severity="critical" if n == 2 else "low") for n in range(9)]
        open_new(Change(connection, "shop", NOW), opened)
    revisions, asked = Revisions(control), []
    findings = Findings(control, revisions, Allow(control, revisions))
    event.listen(control.engine, "before_cursor_execute", lambda *told: asked.append(told[2:4]))
    assert [one.finding.id for one in findings.list("shop", severity="critical", **wanted).items] == ["f2"]
    assert findings.list("shop", severity="low", limit=1, counted=True, **wanted).total == 9
    steps, codes = (
        [str(control.raw.execute(f"{how} {said}", values).fetchall()) for said, values in asked if " finding " in said]
        for how in ("EXPLAIN QUERY PLAN", "EXPLAIN")
    )
    assert len(steps) == 3 and all(f"INDEX {index} (app=?" in step for step in steps), steps
    assert not any("json_extract" in code for code in codes), "a body is read for its severity"


def test_what_is_up_to_date_is_left_alone(control):
    with control.write() as connection:
        migrate.migrate(connection, "x")
    with control.write() as connection:
        assert migrate.migrate(connection, "x") is False


def test_what_a_newer_sentinel_wrote_is_refused(control):
    with control.write() as connection:
        migrate.migrate(connection, "x")
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(StoreError, match="`the file` was written by a newer Sentinel"), control.write() as connection:
        migrate.migrate(connection, "`the file`")


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ("CREATE TABLE app (x int)", "holds another program's table `app`"),
        ("CREATE TABLE alembic_version AS SELECT 'ae1027a6acf' AS version_num", "of version `ae1027a6acf`"),
        ("CREATE TABLE alembic_version AS SELECT '00aa' AS version_num", "of version `00aa`"),
    ],
)
def test_another_programs_tables_are_refused_and_left_alone(control, made, said):
    with control.write() as connection:
        connection.exec_driver_sql(made)
        before = inspect(connection).get_table_names()
    with pytest.raises(StoreError, match=said), control.write() as connection:
        migrate.migrate(connection, "the database")
    with control.read() as connection:
        assert inspect(connection).get_table_names() == before


def test_a_table_that_is_missing_is_told_as_that(control):
    """As in a database of which a part was restored, or one that has nothing of ours but the version."""
    with control.write() as connection:
        connection.exec_driver_sql(f"CREATE TABLE alembic_version AS SELECT '{migrate.HEAD}' AS version_num")
    with pytest.raises(StoreError, match="the database lacks the table `access_key`"), control.write() as connection:
        migrate.migrate(connection, "the database")


def test_tables_of_other_names_are_no_hindrance(control):
    with control.write() as connection:
        connection.exec_driver_sql("CREATE TABLE customer (x int)")
        assert migrate.migrate(connection, "x") is True


def test_a_migration_that_is_cut_off_leaves_nothing(control):
    with pytest.raises(ZeroDivisionError), control.write() as connection:
        migrate.migrate(connection, "x")
        raise ZeroDivisionError
    with control.read() as connection:
        assert inspect(connection).get_table_names() == []
