"""`seamwise remote`: strategies, training, evaluation, rounds, models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from seamwise.cli.calling import LimitOption, WaitOption, client_of, finish, show, show_one
from seamwise.cli.console import pairs, stage, table, write_json
from seamwise.cli.plain_options import JsonOption, SetOption

models = typer.Typer(help="Versions of model lines, named LINE/NUMBER.", no_args_is_help=True)
rounds = typer.Typer(help="The numbered trainings of each line.", no_args_is_help=True)
Version = Annotated[str, typer.Argument(help="As LINE/NUMBER.")]


def strategies(context: typer.Context, json_file: JsonOption = None) -> None:
    """List the ways to learn without forgetting."""
    found = client_of(context).strategies.list()
    show(found, ["name", "title"], len(found), json_file)


def train(
    context: typer.Context,
    line: Annotated[str, typer.Argument(help="The model line; its first training makes it.")],
    domain: Annotated[str, typer.Argument(help="The domain to learn.")],
    strategy: Annotated[str | None, typer.Option(help="Such as si+replay; a line keeps its first.")] = None,
    param: Annotated[list[str] | None, typer.Option(help="A strategy parameter as name=value (repeatable).")] = None,
    options: SetOption = None,
    mode: Annotated[str | None, typer.Option(help="offline (the default), or online: once over what is new.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Training steps.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Times over the data, instead of steps.")] = None,
    parent: Annotated[str | None, typer.Option(help="The version to go on from, as LINE/NUMBER.")] = None,
    rule: Annotated[str | None, typer.Option(help="How domains' classes go together: same, defect or union.")] = None,
    classes: Annotated[
        list[str] | None,
        typer.Option("--class", help="With the rule union: a class of the line, background first (repeatable)."),
    ] = None,
    scale: Annotated[
        float | None, typer.Option(help="Resize the domain's pictures by this before the network.")
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Of everything drawn at random.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda.")] = None,
    number: Annotated[int | None, typer.Option("--round", min=1, help="The proposed round to take up.")] = None,
    wait: WaitOption = True,
    json_file: JsonOption = None,
) -> None:
    """Train a round of a line on a domain, evaluate the version and hear the gate."""
    client = client_of(context)
    job = client.trainings.start(
        line,
        domain,
        strategy=strategy,
        parameters=pairs(param, "--param") if param else None,
        recipe=pairs(options, "--set") if options else None,
        mode=mode,
        steps=steps,
        epochs=epochs,
        parent=parent,
        rule=rule,
        classes=classes or None,
        scale=scale,
        seed=seed,
        device=device,
        round=number,
    )
    finish(client, job, wait, json_file)


def evaluate(context: typer.Context, version: Version, wait: WaitOption = True, json_file: JsonOption = None) -> None:
    """Judge a version on the qualification sets that count now."""
    client = client_of(context)
    finish(client, client.evaluations.start(version), wait, json_file)


def forgetting(context: typer.Context, line: str, json_file: JsonOption = None) -> None:
    """Show what a line's versions scored on each domain, and what the newest has forgotten."""
    found = client_of(context).models.forgetting(line)

    def cells(values: list[float | None]) -> list[str]:
        return ["" if value is None else f"{value:.3f}" for value in values]

    lines = [[f"{row.version}, after {row.learned}", *cells(row.scores)] for row in found.rows]
    lines.append(["forgotten", *cells(found.forgetting)])
    table(["version", *found.domains], lines, stage(json_file))
    write_json(json_file, found.model_dump(mode="json"))


@models.command(name="list")
def list_models(
    context: typer.Context,
    line: Annotated[str | None, typer.Argument(help="Only those of this line.")] = None,
    limit: LimitOption = 50,
    json_file: JsonOption = None,
) -> None:
    """List versions, newest first."""
    found = client_of(context).models.list(line=line)
    show(found, ["version", "engine", "r_row", "created_by", "created_at"], limit, json_file)


@models.command(name="show")
def show_model(context: typer.Context, version: Version, json_file: JsonOption = None) -> None:
    """Show a version with its scores and the gate's verdict."""
    show_one(client_of(context).models.get(version), json_file)


@models.command()
def download(
    context: typer.Context,
    version: Version,
    name: Annotated[
        str, typer.Argument(help="model.safetensors, model.onnx, or serving.safetensors (takes a trainer).")
    ],
    target: Annotated[Path, typer.Argument(help="The file to write.")],
    json_file: JsonOption = None,
) -> None:
    """Write one of a version's files."""
    written = client_of(context).models.download(version, name, target)
    print(f"written to {written}", file=stage(json_file))
    write_json(json_file, {"file": str(written)})


@rounds.command(name="list")
def list_rounds(
    context: typer.Context,
    line: Annotated[str | None, typer.Argument(help="Only those of this line.")] = None,
    limit: LimitOption = 50,
    json_file: JsonOption = None,
) -> None:
    """List rounds, newest first: proposed, started, finished, dismissed."""
    show(client_of(context).rounds.list(line=line), ["id", "line", "number", "state", "cause"], limit, json_file)


@rounds.command()
def dismiss(context: typer.Context, number: int, json_file: JsonOption = None) -> None:
    """Turn a proposed round down; to take it up: `remote train --round`."""
    show_one(client_of(context).rounds.dismiss(number), json_file)


GROUPS = {"models": models, "rounds": rounds}
COMMANDS = (strategies, train, evaluate, forgetting)
