"""What Alembic runs: the migrations, on the connection and in the transaction it was handed."""

from alembic import context

from sentinel.store.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA, render_as_batch=True)
context.run_migrations()
