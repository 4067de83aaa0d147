"""`seamwise db`: bring the database up to date, copy it, look whether it is sound."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seamwise.cli.console import say, stage, write_json
from seamwise.cli.plain_options import JsonOption
from seamwise.errors import SeamwiseError
from seamwise.settings import read_settings
from seamwise.storage import backup as copies
from seamwise.storage import schema
from seamwise.storage.database import open_database

db = typer.Typer(help="Look after the platform's database.", no_args_is_help=True, add_completion=False)


@db.command()
def upgrade(json_file: JsonOption = None) -> None:
    """Bring the tables to this version; a SQLite file with content is copied beside itself first."""
    done = schema.upgrade(open_database(read_settings().database_url))
    if done.before == done.after:
        print(f"the database has the tables of this version ({done.after})", file=stage(json_file))
    else:
        print(f"upgraded from {done.before or 'an empty database'} to {done.after}", file=stage(json_file))
    if done.backup:
        print(f"what it held before: {done.backup}", file=stage(json_file))
    write_json(
        json_file,
        {"before": done.before, "after": done.after, "backup": str(done.backup) if done.backup else None},
    )


@db.command()
def backup(
    file: Annotated[
        Path | None, typer.Argument(help="The new file; without: beside the database, named by time.")
    ] = None,
    json_file: JsonOption = None,
) -> None:
    """Copy the SQLite database while it is in use (for PostgreSQL: pg_dump)."""
    database = open_database(read_settings().database_url)
    copies.source_of(database)
    if file is None:
        schema.require_current(database)
        file = copies.stamped(database, str(schema.revision(database)))
    written = copies.back_up(database, file)
    print(f"copied to {written}", file=stage(json_file))
    write_json(json_file, {"backup": str(written)})


@db.command()
def check(json_file: JsonOption = None) -> None:
    """Compare the database with the tables of this version; for SQLite, read the whole file too."""
    problems = schema.check(open_database(read_settings().database_url))
    for problem in problems:
        say(problem)
    write_json(json_file, {"problems": problems})
    if problems:
        raise SeamwiseError(f"{len(problems)} found: upgrade the database, or restore a backup")
    print("sound", file=stage(json_file))
