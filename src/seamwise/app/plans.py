"""What a training is asked for, and the plan it becomes: all that its outcome depends on, frozen when it is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import Field

from seamwise.app.spec import Name, Options, Spec, Text
from seamwise.continual import build_strategy
from seamwise.continual.catalogue import protocol
from seamwise.errors import RefusedError, UsageError
from seamwise.experiments.recipe import Recipe
from seamwise.storage.rows import LARGEST_ID
from seamwise.storage.tables import Domain, ModelVersion

Rule = Literal["same", "defect", "union"]
MOST_PARAMETERS = 500_000_000
DEFECT = ("background", "defect")


class NewTraining(Spec):
    """A training of a model line on one domain. What is left out is as in the line's version before.

    strategy, parameters: of the catalogue; a line keeps its first. recipe: options that differ from the line's. mode:
    `offline` learns the domain's labelled images for `steps` or `epochs`; `online` goes once over those that were
    reviewed since the line last learned it. parent: the version to go on from; else what serves, if it is of this line,
    else the line's newest. rule: how classes of several domains go together: all `same`; all defects one class
    `defect`; or the `union`, whose names are `classes`. scale: the domain's pictures are resized by it. round: the
    proposed round that this takes up.
    """

    line: Name
    domain: Name
    strategy: Text | None = None
    parameters: Options | None = None
    recipe: Options = Field(default_factory=dict)
    mode: Literal["offline", "online"] = "offline"
    steps: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    epochs: Annotated[int, Field(ge=1, le=10_000)] | None = None
    parent: Text | None = None
    rule: Rule | None = None
    classes: Annotated[list[Text], Field(min_length=2, max_length=255)] | None = None
    scale: Annotated[float, Field(gt=0, le=4)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    device: Literal["cpu", "cuda"] = "cpu"
    engine: Literal["auto", "onnxruntime", "torch"] = "auto"
    round: Annotated[int, Field(ge=1, le=LARGEST_ID)] | None = None
    checkpoint_every_s: Annotated[float, Field(ge=0, le=3600)] = 20.0


class LineSpec(Spec):
    """What a line has settled, as each of its versions keeps it (`ModelVersion.spec`).

    domains: names in the order they were first learned; their places are the tasks. domain: the one learned last.
    class_sets: by domain, the ids it can show, where the rule is `union`.
    """

    recipe: dict[str, Any]
    classes: list[str]
    rule: Rule
    domains: list[str]
    domain: str
    seed: int
    ignore: int | None
    scales: dict[str, float]
    class_sets: dict[str, list[int]]


class Plan(Spec):
    """The spec of a job of the kind `train`. epochs: instead of the recipe's steps. parent: a version's id."""

    line: str
    round: int
    snapshot: int
    parent: int | None
    strategy: str
    parameters: dict[str, Any]
    model: LineSpec
    mode: str
    epochs: int | None
    device: str
    engine: str
    threads: int
    checkpoint_every_s: float


def settle_line(spec: NewTraining, domain: Domain, parent: ModelVersion | None) -> LineSpec:
    """The line's spec after this training; its recipe is yet to be checked (`check_recipe`).

    Raises RefusedError, with the way out, for what a line cannot change or a domain whose classes it cannot show, and
    UsageError for options that there are not.
    """
    before = None if parent is None else LineSpec.model_validate(parent.spec)
    settled = {"rule": spec.rule, "classes": spec.classes, "seed": spec.seed}
    for name, wished in settled.items():
        if before is not None and wished not in (None, getattr(before, name)):
            raise RefusedError(
                f"{name}: line {spec.line} has {getattr(before, name)!r} since its first training; leave it out, or "
                "begin another line"
            )
    rule = before.rule if before else spec.rule or "same"
    classes = before.classes if before else _first_classes(spec, domain)
    ids = ids_in_line(domain.name, domain.classes, spec.line, classes, rule)
    known = before.domains if before else []
    scales, sets = (dict(before.scales), dict(before.class_sets)) if before else ({}, {})
    if spec.scale is not None:
        scales[domain.name] = spec.scale
    if rule == "union":
        sets[domain.name] = sorted(set(ids))
    return LineSpec(
        recipe=asdict(_recipe(spec, before)),
        classes=classes,
        rule=rule,
        domains=known if domain.name in known else [*known, domain.name],
        domain=domain.name,
        seed=before.seed if before else spec.seed or 0,
        ignore=_ignore(domain, before, len(classes)),
        scales=scales,
        class_sets=sets,
    )


def check_recipe(line: LineSpec) -> None:
    """Raises UsageError for a recipe that cannot be used; it takes a moment, so not while the database waits."""
    recipe = Recipe(**line.recipe)
    count = recipe.check(len(line.classes))
    if count > MOST_PARAMETERS:
        raise UsageError(f"recipe: this {recipe.network} has {count:,} parameters; at most {MOST_PARAMETERS:,}")


def settle_strategy(spec: NewTraining, parent: ModelVersion | None) -> tuple[str, dict[str, Any]]:
    """The strategy's name and parameters. Raises RefusedError where the line has another, UsageError for unknown."""
    before = parent.strategy if parent else None
    name = spec.strategy or (before["name"] if before else "si")
    parameters = spec.parameters if spec.parameters is not None else (before["parameters"] if before else {})
    try:
        if protocol(name) != "stream":
            raise UsageError(f"strategy {name}: it only compares methods; a line learns its domains one after another")
        wished = build_strategy(name, parameters).settings
        if before and wished != build_strategy(before["name"], before["parameters"]).settings:
            raise RefusedError(
                f"strategy: line {spec.line} learns by {before['name']} with {before['parameters']}, whose state the "
                "next training goes on from; leave it out, or begin another line"
            )
    except ValueError as error:
        raise UsageError(f"strategy: {error}") from error
    return name, parameters


def ids_in_line(domain: str, shown: Sequence[str], line: str, classes: Sequence[str], rule: Rule) -> tuple[int, ...]:
    """The line's id of each of a domain's class ids. RefusedError, with the way out, where the line lacks one."""
    if rule == "defect":
        return (0, *[1] * (len(shown) - 1))
    names = [classes[0], *shown[1:]] if rule == "union" else list(shown)
    if rule == "same" and names != list(classes):
        raise RefusedError(
            f"domain {domain} shows {', '.join(shown)}, line {line} {', '.join(classes)}: begin a line with the rule "
            "'defect' (all defects one class), or 'union' with the names of all classes"
        )
    unknown = [name for name in names if name not in classes]
    if unknown:
        raise RefusedError(
            f"domain {domain} shows {unknown[0]!r}, which line {line} does not know, only {', '.join(classes)}: begin "
            "a line whose `classes` name it too"
        )
    return tuple(classes.index(name) for name in names)


def _first_classes(spec: NewTraining, domain: Domain) -> list[str]:
    if spec.rule == "defect":
        return list(DEFECT)
    return spec.classes or domain.classes


def _ignore(domain: Domain, before: LineSpec | None, classes: int) -> int | None:
    mine = before.ignore if before else None
    if domain.ignore is not None and mine not in (None, domain.ignore):
        raise RefusedError(f"domain {domain.name} ignores mask value {domain.ignore}, its line {mine}: use one for all")
    ignore = mine if mine is not None else domain.ignore
    if ignore is not None and ignore < classes:
        raise RefusedError(f"domain {domain.name} ignores mask value {ignore}, which is one of the line's class ids")
    return ignore


def _recipe(spec: NewTraining, before: LineSpec | None) -> Recipe:
    if spec.steps is not None and spec.epochs is not None:
        raise UsageError("steps and epochs both say how long to train: give one of them")
    if spec.mode == "online" and (spec.steps or spec.epochs):
        raise UsageError("an online training goes once over what is new: leave steps and epochs out")
    options = spec.recipe | ({} if spec.steps is None else {"steps": spec.steps})
    recipe = Recipe.of({**(before.recipe if before else {}), **options})
    if before is not None:
        for name in ("network", "network_options", "channels", "tile"):
            if getattr(recipe, name) != before.recipe[name]:
                raise RefusedError(f"recipe: {name} of line {spec.line} is {before.recipe[name]!r} for good")
    return recipe
