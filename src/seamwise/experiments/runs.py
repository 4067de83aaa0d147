"""One run: a strategy with its parameters and a seed, taken through a stream of domains and judged after each."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from seamwise.continual import Experience, Learner, build_strategy, undisturbed
from seamwise.continual.catalogue import protocol, settled
from seamwise.continual.metrics import summary
from seamwise.continual.stream import Balanced
from seamwise.errors import UsageError
from seamwise.experiments.evaluation import count_domain
from seamwise.experiments.event import Event
from seamwise.experiments.failures import explained
from seamwise.experiments.leg import Leg, every, one_after_another, peak_memory_mb
from seamwise.experiments.recipe import Recipe
from seamwise.experiments.run_folder import claimed
from seamwise.experiments.streams import DomainStream, open_stream
from seamwise.files import atomic_write
from seamwise.vision.losses import build_loss
from seamwise.vision.objective import Segmentation
from seamwise.vision.scores import ImageCounts, summarise
from seamwise.vision.segmenter import Reading, Segmenter
from seamwise.vision.tiles import TileDataset

CHECKPOINT_EVERY_S = 60.0


@dataclass(frozen=True)
class Run:
    """What is run. `identity` is what a result must share to be the same run's."""

    stream: DomainStream
    recipe: Recipe
    strategy: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    device: str = "cpu"
    split: Literal["test", "val"] = "test"

    def __post_init__(self) -> None:
        try:
            build_strategy(self.strategy, self.parameters)
        except ValueError as error:
            raise UsageError(str(error)) from error
        self.recipe.check(len(self.stream.classes))

    @property
    def label(self) -> str:
        """`si:c=10`: the strategy with the parameters that were given."""
        options = ",".join(f"{name}={value}" for name, value in sorted(self.parameters.items()))
        return f"{self.strategy}:{options}" if options else self.strategy

    @property
    def all_parameters(self) -> dict[str, Any]:
        """The strategy's parameters with their defaults filled in."""
        return settled(self.strategy, self.parameters)

    def identity(self) -> dict[str, Any]:
        values = {
            "stream": self.stream.identity(),
            "recipe": asdict(self.recipe),
            "strategy": self.strategy,
            "parameters": self.all_parameters,
            "seed": self.seed,
            "split": self.split,
        }
        return dict(json.loads(json.dumps(values)))

    def job(self) -> dict[str, Any]:
        """What a process of its own needs to do this run: JSON values."""
        return {
            "kind": "domains",
            "stream": self.stream.source(),
            "recipe": self.identity()["recipe"],
            "strategy": self.strategy,
            "parameters": dict(self.parameters),
            "seed": self.seed,
            "device": self.device,
            "split": self.split,
        }

    @staticmethod
    def of_job(job: Mapping[str, Any]) -> Run:
        names = ("strategy", "parameters", "seed", "device", "split")
        return Run(open_stream(job["stream"]), Recipe.of(job["recipe"]), **{name: job[name] for name in names})

    @property
    def metric(self) -> str:
        return "defect_iou" if len(self.stream.classes) == 2 else "mean_defect_class_iou"


def execute(
    run: Run,
    folder: Path | None = None,
    *,
    checkpoint_every_s: float = CHECKPOINT_EVERY_S,
    allow_other_machine: bool = False,
) -> Iterator[Event]:
    """Runs to the end, yielding events; the last one carries the result row.

    folder: where checkpoints, the model after each experience and the counts of every image go; a run found there is
    continued, bit for bit. checkpoint_every_s: seconds between checkpoints (0: at every step); there is one after
    every experience in any case. Raises RefusedError if the folder holds another run, SeamwiseError where the disk,
    the memory or the loss gives out.
    """
    with ExitStack() as stack:
        stack.enter_context(explained())
        if folder is not None:
            stack.enter_context(claimed(folder, run.identity()))
        yield from _go(run, folder, checkpoint_every_s, allow_other_machine)


def _go(run: Run, folder: Path | None, checkpoint_every_s: float, allow_other_machine: bool) -> Iterator[Event]:
    kind, stops = protocol(run.strategy), run.stream.stops
    ways = [[task] for task in range(len(stops))] if kind == "separate" else [list(range(len(stops)))]
    builders = [
        partial(
            _leg,
            run,
            tasks,
            folder,
            "" if len(ways) == 1 else f"{tasks[0]}-{_file_name(stops[tasks[0]].name)}-",
            allow=allow_other_machine,
        )
        for tasks in ways
    ]
    finished: list[Leg] = []
    yield from one_after_another(builders, every(checkpoint_every_s), finished)
    row = _result(run, kind, [line for leg in finished for line in leg.lines], sum(leg.seconds for leg in finished))
    if folder is not None:
        atomic_write(folder / "row.json", json.dumps(row, indent=1).encode())
    yield Event("done", stops[-1].name, 1.0, row=row)


def _leg(run: Run, tasks: list[int], folder: Path | None, name: str, *, allow: bool) -> Leg:
    """One model's way through some of the stream's domains: all of them, or a single one for separate models."""
    recipe, stream, joint = run.recipe, run.stream, protocol(run.strategy) == "joint"
    parts = [tiles(stream, recipe, task) for task in tasks]
    experiences = (
        [Experience(0, "all domains", Balanced(parts))]
        if joint
        else [Experience(i, stream.stops[t].name, parts[i], task=t) for i, t in enumerate(tasks)]
    )
    network = recipe.build(len(stream.classes), run.seed)
    learner = Learner(
        network,
        build_strategy(run.strategy, run.parameters),
        Segmentation(
            build_loss(recipe.loss, **recipe.loss_options), stream.class_sets, stream.ignore, channels_last=True
        ),
        recipe.training(len(tasks) if joint else 1),
        seed=run.seed,
        augment=recipe.augmentation(),
        device=run.device,
    )
    segmenter = Segmenter(network, reading(stream, recipe))
    return Leg(
        learner,
        experiences,
        partial(_judge, run, segmenter, tasks, folder, name, parts),
        folder,
        name,
        allow_other_machine=allow,
    )


def _judge(
    run: Run,
    segmenter: Segmenter,
    tasks: list[int],
    folder: Path | None,
    name: str,
    parts: Sequence[TileDataset],
    experience: Experience,
) -> dict[str, Any]:
    """Scores of the leg's domains; the model and the counts of every image are kept in the folder."""
    for part in parts:  # what was learned is not needed again, what comes next is decoded when it is its turn
        part.release()
    counts: dict[str, list[ImageCounts]] = {}
    moment = f"{name}after-{experience.index}-{_file_name(experience.name)}"
    keep = None if folder is None else folder / moment
    with undisturbed(segmenter.network):
        for task in tasks:
            stop = run.stream.stops[task]
            if stop.domain.samples[run.split]:
                own = keep and keep / str(task)
                counts[stop.name] = count_domain(segmenter, run.stream, stop, run.split, keep=own)
    if folder is not None:
        everything = {domain: [image.to_json() for image in images] for domain, images in counts.items()}
        atomic_write(folder / f"{moment}.counts.json", json.dumps(everything).encode())
        segmenter.save(folder / f"{moment}.safetensors", {"after": experience.name, **run.identity()})
    scores = {name: summarise(images).to_json() for name, images in counts.items()}
    return {"after": experience.name, "tasks": tasks, "scores": scores}


def tiles(stream: DomainStream, recipe: Recipe, task: int, split: str = "train") -> TileDataset:
    """Training tiles of one domain of the stream."""
    stop = stream.stops[task]
    return TileDataset(
        stop.domain.samples[split],
        classes=len(stream.classes),
        tile=recipe.tile,
        channels=recipe.channels,
        task=task,
        remap=stop.remap,
        scale=stop.scale,
        defect_share=recipe.defect_share,
        window=recipe.window,
        ignore=stop.domain.ignore,
        most_tiles=recipe.most_tiles,
    )


def reading(stream: DomainStream, recipe: Recipe) -> Reading:
    """How a model of this experiment reads pictures."""
    return Reading(
        classes=stream.classes,
        channels=recipe.channels,
        tile=recipe.tile,
        overlap=recipe.overlap,
        window=recipe.window,
        bf16=recipe.bf16,
        scales={stop.name: stop.scale for stop in stream.stops},
        class_sets={stream.stops[task].name: ids for task, ids in stream.class_sets.items()},
    )


def _file_name(name: str) -> str:
    """A domain's name without what a file name cannot hold."""
    return re.sub(r"[\s/\\:\0]", "-", name)


def _score(metric: str, scores: Mapping[str, Any] | None) -> float | None:
    """None where nothing was measured: a domain without pictures in the split."""
    value = None if scores is None else scores[metric]
    return None if value is None else float(value)


def _result(run: Run, kind: str, lines: Sequence[Mapping[str, Any]], seconds: float) -> dict[str, Any]:
    """The row of the results file."""
    names = [stop.name for stop in run.stream.stops]
    if kind == "separate":
        final = {name: line["scores"].get(name) for name, line in zip(names, lines, strict=True)}
        R = [[_score(run.metric, final[name]) for name in names]]
    else:
        final = dict(lines[-1]["scores"])
        R = [[_score(run.metric, line["scores"].get(name)) for name in names] for line in lines]
    return {
        "strategy": run.strategy,
        "parameters": run.all_parameters,
        "seed": run.seed,
        "R": R,
        **summary(R),
        "seconds": round(seconds, 1),
        "peak_memory_mb": round(peak_memory_mb()),
        "scores": final,
    }
