"""`seamwise scrub`: reads every stored object again."""

from __future__ import annotations

from typing import Annotated

import typer

from seamwise.app.app import open_app
from seamwise.cli.console import say, stage, write_json
from seamwise.cli.plain_options import JsonOption
from seamwise.errors import SeamwiseError
from seamwise.settings import read_settings
from seamwise.storage import upkeep
from seamwise.storage.schema import require_current


def scrub(
    collect: Annotated[
        bool, typer.Option("--collect", help="Delete leftovers too: bytes of broken-off work, older than 7 days.")
    ] = False,
    json_file: JsonOption = None,
) -> None:
    """Compare every stored object with its hash; exit code 1 when one is damaged or missing."""
    app = open_app(read_settings())
    require_current(app.database)
    checked, damaged = 0, {}
    for found in upkeep.scrub(app.database, app.objects):
        checked += 1
        if found.problem:
            damaged[found.stored.sha256] = found.problem
            say(found.problem)
    collected = upkeep.collect(app.database, app.objects) if collect else 0
    print(f"{checked} objects read, {len(damaged)} damaged, {collected} leftovers deleted", file=stage(json_file))
    write_json(json_file, {"checked": checked, "damaged": damaged, "collected": collected})
    if damaged:
        raise SeamwiseError(f"{len(damaged)} of {checked} objects are damaged: restore them from a backup")
