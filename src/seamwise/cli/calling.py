"""What the commands of `seamwise remote` share: the client, records as tables, jobs followed to their end."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from itertools import islice
from typing import Annotated, Any

import typer

from seamwise.cli.console import Bars, say, stage, table, write_json
from seamwise.client import Client, JobFailedError
from seamwise.client.records import Job, Record

LimitOption = Annotated[int, typer.Option(min=1, help="Most rows.")]
WaitOption = Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the job to its end, or only begin it.")]


def client_of(context: typer.Context) -> Client:
    """The client that the command's group has made."""
    client: Client = context.obj
    return client


def show(rows: Iterable[Record], columns: Sequence[str], limit: int, json_file: str | None) -> None:
    """Prints records as a table of these fields, and all their fields as JSON."""
    found = list(islice(rows, limit))
    table(columns, [[_cell(getattr(row, column)) for column in columns] for row in found], stage(json_file))
    write_json(json_file, {"items": [row.model_dump(mode="json", by_alias=True) for row in found]})


def show_one(row: Record, json_file: str | None, left_out: Collection[str] = ()) -> None:
    """Prints the fields of one record, and all of them as JSON. left_out: those that are not printed."""
    fields = row.model_dump(mode="json", by_alias=True)
    for name, value in fields.items():
        if name not in left_out:
            print(f"{name}: {_cell(value)}", file=stage(json_file))
    write_json(json_file, fields)


def finish(client: Client, job: Job, wait: bool, json_file: str | None) -> None:
    """Follows a job, and those that it began, to the end of the last; or says which it is.

    Raises JobFailedError when one failed or was cancelled.
    """
    if not wait:
        print(f"job {job.id} ({job.kind}) is queued", file=stage(json_file))
        write_json(json_file, {"jobs": [job.model_dump(mode="json")]})
        return
    ended = []
    numbers = [job.id]
    with Bars() as bars:
        while numbers:
            done = _follow(client, numbers.pop(0), bars)
            ended.append(done)
            numbers += (done.result or {}).get("then", [])
    for done in ended:
        told = {name: value for name, value in (done.result or {}).items() if name != "then"}
        print(f"job {done.id} ({done.kind}) succeeded: {_cell(told)}", file=stage(json_file))
    write_json(json_file, {"jobs": [done.model_dump(mode="json") for done in ended]})


def _follow(client: Client, number: int, bars: Bars) -> Job:
    name = f"{client.jobs.get(number).kind} (job {number})"
    for what, told in client.jobs.follow(number):
        if what == "line":
            say(f"{name}: {told['text']}")
        elif what == "progress" and told.get("progress"):
            bars.show(name, float(told["progress"].get("fraction") or 0.0))
    job = client.jobs.get(number)
    bars.done(name, failed=job.state != "succeeded")
    if job.state != "succeeded":
        raise JobFailedError(job)
    return job


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case datetime():
            return value.isoformat(sep=" ", timespec="seconds")
        case float():
            return f"{value:.4g}"
        case dict():
            return ", ".join(f"{key} {_cell(each)}" for key, each in value.items())
        case list():
            return ", ".join(map(_cell, value))
    return str(value)
