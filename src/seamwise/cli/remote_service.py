"""`seamwise remote`: the service itself: its health, jobs, audit and stored objects."""

from __future__ import annotations

from typing import Annotated

import typer

from seamwise.cli.calling import LimitOption, WaitOption, client_of, finish, show, show_one
from seamwise.cli.plain_options import JsonOption

jobs = typer.Typer(help="Work that takes time.", no_args_is_help=True)
Number = Annotated[int, typer.Argument(min=1, help="The job's number.")]


def ready(context: typer.Context, json_file: JsonOption = None) -> None:
    """Show whether the service can do its work."""
    show_one(client_of(context).ready(), json_file)


def audit(
    context: typer.Context,
    by: Annotated[str | None, typer.Option(help="Who did it, such as key/3.")] = None,
    subject: Annotated[str | None, typer.Option(help="To which record, such as job/12.")] = None,
    limit: LimitOption = 50,
    json_file: JsonOption = None,
) -> None:
    """Show who did what, newest first."""
    columns = ["at", "actor", "action", "subject", "details"]
    show(client_of(context).audit.list(by=by, subject=subject), columns, limit, json_file)


def scrub(
    context: typer.Context,
    collect: Annotated[bool, typer.Option("--collect", help="Delete leftovers of broken-off work, too.")] = False,
    wait: WaitOption = True,
    json_file: JsonOption = None,
) -> None:
    """Let the service compare every stored object with its hash."""
    client = client_of(context)
    finish(client, client.scrub(collect=collect), wait, json_file)


@jobs.command(name="list")
def list_jobs(
    context: typer.Context,
    state: Annotated[str | None, typer.Option(help="queued, running, succeeded, failed or cancelled.")] = None,
    kind: Annotated[str | None, typer.Option(help="Such as train, evaluate or predict.")] = None,
    limit: LimitOption = 50,
    json_file: JsonOption = None,
) -> None:
    """List jobs, newest first."""
    columns = ["id", "kind", "state", "line", "attempt", "created_by", "created_at", "error"]
    show(client_of(context).jobs.list(state=state, kind=kind), columns, limit, json_file)


@jobs.command(name="show")
def show_job(context: typer.Context, number: Number, json_file: JsonOption = None) -> None:
    """Show a job."""
    show_one(client_of(context).jobs.get(number), json_file)


@jobs.command()
def follow(context: typer.Context, number: Number, json_file: JsonOption = None) -> None:
    """Follow a job to its end; exit code 1 when it fails."""
    client = client_of(context)
    finish(client, client.jobs.get(number), True, json_file)


@jobs.command()
def log(context: typer.Context, number: Number, limit: LimitOption = 1000, json_file: JsonOption = None) -> None:
    """Show what a job wrote, oldest first."""
    show(client_of(context).jobs.log(number), ["at", "attempt", "level", "text"], limit, json_file)


@jobs.command()
def cancel(context: typer.Context, number: Number, json_file: JsonOption = None) -> None:
    """End a job that has not ended."""
    show_one(client_of(context).jobs.cancel(number), json_file)


@jobs.command()
def requeue(context: typer.Context, number: Number, json_file: JsonOption = None) -> None:
    """Queue a failed or cancelled job again, to go on from its last checkpoint."""
    show_one(client_of(context).jobs.requeue(number), json_file)


GROUPS = {"jobs": jobs}
COMMANDS = (ready, audit, scrub)
