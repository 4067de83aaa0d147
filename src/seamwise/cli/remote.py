"""`seamwise remote`: work with a service over its API, by the typed client."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from seamwise.cli import remote_data, remote_learning, remote_service, remote_serving
from seamwise.client import Client
from seamwise.client.client import ADDRESS
from seamwise.errors import UsageError
from seamwise.settings import read_settings

remote = typer.Typer(
    help="Work with a service over its API. Its address and key: --address and --key-file, or SEAMWISE_ADDRESS and "
    "SEAMWISE_KEY; without them the service of this machine and its admin's key.",
    no_args_is_help=True,
    add_completion=False,
)


@remote.callback()
def connect(
    context: typer.Context,
    address: Annotated[
        str, typer.Option(envvar="SEAMWISE_ADDRESS", help="Where the service answers, as https://host.")
    ] = ADDRESS,
    key_file: Annotated[
        Path | None, typer.Option(help="File with the key (default: SEAMWISE_KEY, else the embedded service's).")
    ] = None,
) -> None:
    """Connects the commands below to a service."""
    client = Client(address, _key(key_file))
    context.obj = client
    context.call_on_close(client.close)


def _key(file: Path | None) -> str:
    if file is None and (told := os.environ.get("SEAMWISE_KEY")):
        return told
    path = file or read_settings().data / "admin.key"
    try:
        return path.read_text().strip()
    except OSError as error:
        raise UsageError(f"no key: {path}: {error.strerror}; give --key-file, or set SEAMWISE_KEY") from error


for part in (remote_data, remote_learning, remote_serving, remote_service):
    for name, group in part.GROUPS.items():
        remote.add_typer(group, name=name)
    for command in part.COMMANDS:
        remote.command()(command)
