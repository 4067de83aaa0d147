"""Run by Alembic for each of its commands, on the connection that `seamwise.storage.schema` passes."""

from alembic import context

from seamwise.storage.schema import METADATA

connection = context.config.attributes["connection"]
# transactional_ddl: with BEGIN IMMEDIATE, SQLite undoes a migration that is broken off as PostgreSQL does.
context.configure(
    connection=connection, target_metadata=METADATA, transactional_ddl=True, render_as_batch=True, compare_type=True
)
with context.begin_transaction():
    context.run_migrations()
