"""`seamwise keys`: keys to the API, made on the machine that holds the database."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from seamwise.app import keys as use
from seamwise.app.actor import SYSTEM
from seamwise.app.app import App, open_app
from seamwise.cli.console import stage, table, write_json
from seamwise.cli.plain_options import JsonOption
from seamwise.errors import UsageError
from seamwise.settings import read_settings
from seamwise.storage.schema import require_current
from seamwise.storage.tables import Key, Role

keys = typer.Typer(help="Make, list and revoke keys to the API.", no_args_is_help=True, add_completion=False)


@keys.command()
def make(
    name: Annotated[str, typer.Argument(help="Who or what the key is for.")],
    role: Annotated[
        Role, typer.Option(help="What it may do; each role may do what those before it may.")
    ] = Role.VIEWER,
    days: Annotated[int | None, typer.Option(min=1, max=36_500, help="Until it expires; without: never.")] = None,
    json_file: JsonOption = None,
) -> None:
    """Make a key; it is shown this once."""
    if not name.strip():
        raise UsageError("give the key a name: who or what it is for")
    made = use.create_key(_app(), SYSTEM, use.NewKey(name=name.strip()[:500], role=role, days=days))
    print(made.token, file=stage(json_file))
    write_json(json_file, {"key": _shown(made.key), "token": made.token})


@keys.command(name="list")
def list_(json_file: JsonOption = None) -> None:
    """List all keys, newest first; the keys themselves are nowhere kept."""
    app, found, cursor = _app(), list[Key](), None
    while True:
        page = use.list_keys(app, SYSTEM, cursor, 200)
        found += page.items
        cursor = page.next
        if cursor is None:
            break
    rows = [[str(cell or "") for cell in _shown(key).values()] for key in found]
    table(["key", "name", "role", "made by", "made", "expires", "revoked"], rows, stage(json_file))
    write_json(json_file, {"keys": [_shown(key) for key in found]})


@keys.command()
def revoke(
    number: Annotated[int, typer.Argument(min=1, help="The key's number, as `list` shows it.")],
    json_file: JsonOption = None,
) -> None:
    """End a key for good."""
    key = use.revoke_key(_app(), SYSTEM, number)
    print(f"key {number} ({key.name}) opens nothing any more", file=stage(json_file))
    write_json(json_file, {"key": _shown(key)})


def _app() -> App:
    app = open_app(read_settings())
    require_current(app.database)
    return app


def _shown(key: Key) -> dict[str, Any]:
    times = {"created_at": key.created_at, "expires_at": key.expires_at, "revoked_at": key.revoked_at}
    return {"id": key.id, "name": key.name, "role": key.role.value, "created_by": key.created_by} | {
        name: time.isoformat(timespec="seconds") if time else None for name, time in times.items()
    }
