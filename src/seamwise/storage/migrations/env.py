"""Run by Alembic for each of its commands, in the transaction that `seamwise.storage.schema` began."""

from alembic import context

from seamwise.storage.schema import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,  # SQLite alters most columns only by copying their table
)
with context.begin_transaction():
    context.run_migrations()
