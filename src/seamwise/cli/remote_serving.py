"""`seamwise remote`: what serves, its answers, and inspectors' words on them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TextIO

import typer

from seamwise.cli.calling import LimitOption, WaitOption, client_of, finish, show, show_one
from seamwise.cli.console import stage, table
from seamwise.cli.plain_options import JsonOption
from seamwise.client.served import Prediction
from seamwise.client.serving import PRODUCTION
from seamwise.errors import BadInputError

MOST_SHOWN = 10  # defects of an answer
AliasOption = Annotated[str, typer.Option(help="The name that serves.")]
ReasonOption = Annotated[str, typer.Option(help="Why, for the history.")]
Number = Annotated[int, typer.Argument(min=1, help="The prediction's number.")]


def promote(
    context: typer.Context,
    version: Annotated[str, typer.Argument(help="As LINE/NUMBER.")],
    reason: ReasonOption,
    alias: AliasOption = PRODUCTION,
    force: Annotated[bool, typer.Option("--force", help="Whatever the gate says; takes an admin's key.")] = False,
    json_file: JsonOption = None,
) -> None:
    """Let a version serve, if the gate passes it; exit code 5 with its figures if not."""
    show_one(client_of(context).aliases.promote(version, reason, name=alias, force=force), json_file)


def rollback(
    context: typer.Context, reason: ReasonOption, alias: AliasOption = PRODUCTION, json_file: JsonOption = None
) -> None:
    """Go back to the version that served before."""
    show_one(client_of(context).aliases.rollback(reason, name=alias), json_file)


def history(
    context: typer.Context, alias: AliasOption = PRODUCTION, limit: LimitOption = 50, json_file: JsonOption = None
) -> None:
    """Show who changed what serves, when, and why; refusals too."""
    columns = ["at", "action", "before", "after", "actor", "reason"]
    show(client_of(context).aliases.history(alias), columns, limit, json_file)


def predict(
    context: typer.Context,
    image: Annotated[Path, typer.Argument(help="PNG, TIFF or JPEG.")],
    domain: Annotated[str | None, typer.Option(help="Its domain, if known.")] = None,
    weld: Annotated[str | None, typer.Option(help="The weld it shows, if known.")] = None,
    pitch_mm: Annotated[float | None, typer.Option(help="Millimetres a pixel, if known.")] = None,
    mask: Annotated[Path | None, typer.Option(help="Write the predicted mask to this file.")] = None,
    json_file: JsonOption = None,
) -> None:
    """Ask the version that serves about a picture."""
    if not image.is_file():
        raise BadInputError(f"{image}: there is no such file")
    client = client_of(context)
    answer = client.predictions.make(image, domain=domain, weld=weld, pitch_mm=pitch_mm)
    if mask is not None and answer.id is not None:
        client.predictions.download_mask(answer.id, mask)
    show_one(answer, json_file, left_out=("defects", "defects_left_out"))
    _show_defects(answer, stage(json_file))


def _show_defects(answer: Prediction, file: TextIO) -> None:
    """Prints the largest defects as a table, and how many more there are."""
    shown = answer.defects[:MOST_SHOWN]  # they come largest first
    rows = [
        [
            defect.class_name,
            str(defect.area_px),
            "" if defect.area_mm2 is None else f"{defect.area_mm2:.4g}",
            ", ".join(map(str, defect.box)),
            f"{defect.probability:.3f}",
        ]
        for defect in shown
    ]
    if rows:
        table(["defect", "area px", "area mm2", "box (left, top, width, height)", "probability"], rows, file)
    more = len(answer.defects) - len(shown) + answer.defects_left_out
    print(f"and {more} more" if more else f"defects: {len(shown)}", file=file)


def predictions(
    context: typer.Context,
    domain: Annotated[str | None, typer.Option(help="Only those of this domain.")] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Only those of this batch's job.")] = None,
    limit: LimitOption = 50,
    json_file: JsonOption = None,
) -> None:
    """List predictions, newest first."""
    found = client_of(context).predictions.list(domain=domain, batch=batch)
    show(found, ["id", "version", "image", "confidence", "created_at"], limit, json_file)


def review(
    context: typer.Context,
    number: Number,
    accept: Annotated[bool, typer.Option("--accept", help="The predicted mask is right.")] = False,
    mask: Annotated[Path | None, typer.Option(help="The right mask: class ids.")] = None,
    label: Annotated[str | None, typer.Option(help="One class for all of the picture.")] = None,
    domain: Annotated[str | None, typer.Option(help="Where an unassigned picture belongs.")] = None,
    comment: Annotated[str | None, typer.Option(help="For whoever reads it later.")] = None,
    json_file: JsonOption = None,
) -> None:
    """Say whether a prediction is right, or what is: it becomes a labelled sample."""
    made = client_of(context).predictions.review(
        number, accept=accept, mask=mask, label=label, domain=domain, comment=comment
    )
    show_one(made, json_file)


def batch(
    context: typer.Context,
    domain: Annotated[str, typer.Argument(help="The domain whose images are predicted.")],
    version: Annotated[str | None, typer.Option(help="As LINE/NUMBER (default: what serves).")] = None,
    wait: WaitOption = True,
    json_file: JsonOption = None,
) -> None:
    """Predict all images of a domain."""
    client = client_of(context)
    finish(client, client.batches.start(domain=domain, version=version), wait, json_file)


def drift(context: typer.Context, json_file: JsonOption = None) -> None:
    """Show whether the domains change."""
    found = client_of(context).drift.list()
    show(found, ["domain", "evidence", "alarm", "reference", "changed_at"], len(found), json_file)


GROUPS: dict[str, typer.Typer] = {}
COMMANDS = (promote, rollback, history, predict, predictions, review, batch, drift)
