"""Bundles where several servers share a database, and one that an older Sentinel made."""

from __future__ import annotations

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import text

from sentinel.store import migrate, tables
from sentinel.store.postgres.control import Control
from sentinel.store.postgres.store import open_postgres
from tests import postgres
from tests.contract.test_bundling import TWO, USUAL, due, send
from tests.contract.values import NOW
from tests.store.postgres.together import at_once


def test_two_servers_that_decide_at_once_decide_of_each_once(stores):
    """As for a moment where one takes over that holds the other for dead."""
    send(stores[0], *(f"{number:04}" for number in range(900)))
    first, second = at_once(
        *([lambda store=store: [store.outbox.settle(USUAL, TWO, NOW) for _ in range(2)] for store in stores])
    )
    settled = first + second
    assert sum(one.alone for one in settled) == len(due(stores[0])) == 2
    (growing,) = stores[1].outbox.growing("shop")
    members = stores[1].outbox.list("shop", bundle=growing.id, limit=1000).items
    assert growing.body["findings"] == len(members) == sum(one.folded for one in settled) == 898


def test_tables_of_the_first_version_are_brought_up_to_date_and_their_deliveries_are_told_by_themselves(database):
    url = postgres.shared().url(database)
    control = Control(url)
    config = Config()
    config.set_main_option("script_location", str(migrate._SCRIPTS))
    with control.write(longest=None) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.execute(
            text(
                "INSERT INTO outbox (app, key, kind, channel, body, made, attempts, next_at, error, dead) "
                "VALUES ('shop', 'old', 'notify', 'chat', '{}', 1, 0, 1, '', false)"
            )
        )
    control.close()
    store = open_postgres(url)
    assert [(one.key, one.lane, one.bundle) for one in store.outbox.due(NOW)] == [("old", None, None)]
    with store.control.read() as connection:
        found = compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), tables.METADATA)
        assert [one for one in found if "outbox" in str(one)] == []
    store.close()
