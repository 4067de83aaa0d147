"""One run: a strategy with its parameters and a seed, taken through a stream of domains and judged after each."""

from __future__ import annotations

import json
import re
import resource
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from seamwise.continual import Experience, Learner, MismatchError, build_strategy, undisturbed
from seamwise.continual.catalogue import parameters as catalogue_parameters
from seamwise.continual.catalogue import protocol
from seamwise.continual.metrics import summary
from seamwise.continual.stream import Balanced, Dataset
from seamwise.errors import BadInputError, RefusedError, UsageError
from seamwise.experiments.checkpoint import load_checkpoint, save_checkpoint
from seamwise.experiments.evaluation import count_domain
from seamwise.experiments.failures import explained
from seamwise.experiments.recipe import Recipe
from seamwise.experiments.run_folder import claimed
from seamwise.experiments.streams import DomainStream
from seamwise.files import atomic_write
from seamwise.vision.losses import build_loss
from seamwise.vision.objective import Segmentation
from seamwise.vision.scores import ImageCounts, summarise
from seamwise.vision.segmenter import Reading, Segmenter
from seamwise.vision.tiles import TileDataset

CHECKPOINT_EVERY_S = 60.0
CHECKPOINT = "checkpoint.safetensors"


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
    def all_parameters(self) -> dict[str, Any]:
        """The strategy's parameters with their defaults filled in."""
        known = {n: p.default for part in self.strategy.split("+") for n, p in catalogue_parameters(part).items()}
        return known | dict(self.parameters)

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

    @property
    def metric(self) -> str:
        return "defect_iou" if len(self.stream.classes) == 2 else "mean_defect_class_iou"


@dataclass(frozen=True)
class Event:
    """How far a run is. kind "step", "evaluated" (one row of R is known) or "done" (row holds the result).

    fraction: of the whole run, 0 to 1.
    """

    kind: Literal["step", "evaluated", "done"]
    experience: str
    fraction: float
    loss: float | None = None
    row: dict[str, Any] | None = None


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
    kind = protocol(run.strategy)
    stops = run.stream.stops
    legs = [[task] for task in range(len(stops))] if kind == "separate" else [list(range(len(stops)))]
    finished: list[Leg] = []
    for number, tasks in enumerate(legs):
        name = "" if len(legs) == 1 else f"{_file_name(stops[tasks[0]].name)}-"
        leg = Leg(run, tasks, folder, name, joint=kind == "joint", allow_other_machine=allow_other_machine)
        for event in leg.go(checkpoint_every_s):
            yield replace(event, fraction=(number + event.fraction) / len(legs))
        finished.append(leg)
    row = _result(run, kind, [line for leg in finished for line in leg.lines], sum(leg.seconds for leg in finished))
    if folder is not None:
        atomic_write(folder / "row.json", json.dumps(row, indent=1).encode())
    yield Event("done", stops[-1].name, 1.0, row=row)


class Leg:
    """One model's way through some of the stream's domains: all of them, or a single one for separate models."""

    def __init__(
        self, run: Run, tasks: list[int], folder: Path | None, name: str, *, joint: bool, allow_other_machine: bool
    ) -> None:
        self.run, self.tasks, self.folder, self.name = run, tasks, folder, name
        recipe, stream = run.recipe, run.stream
        parts = [tiles(stream, recipe, task) for task in tasks]
        self.experiences = (
            [Experience(0, "all domains", Balanced(parts))]
            if joint
            else [Experience(i, stream.stops[t].name, parts[i], task=t) for i, t in enumerate(tasks)]
        )
        self.network = recipe.build(len(stream.classes), run.seed)
        objective = Segmentation(
            build_loss(recipe.loss, **recipe.loss_options), stream.class_sets, stream.ignore, channels_last=True
        )
        self.learner = Learner(
            self.network,
            build_strategy(run.strategy, run.parameters),
            objective,
            recipe.training(len(tasks) if joint else 1),
            seed=run.seed,
            augment=recipe.augmentation(),
            device=run.device,
        )
        self.segmenter = Segmenter(self.network, reading(stream, recipe))
        self.lines: list[dict[str, Any]] = []
        self.seconds = 0.0
        self._resume(allow_other_machine)

    def go(self, checkpoint_every_s: float) -> Iterator[Event]:
        """Learns what is left, saving at intervals and after every domain."""
        started, saved = time.monotonic() - self.seconds, time.monotonic()
        count = len(self.experiences)
        for progress in self.learner.fit(self.experiences):
            self.seconds = time.monotonic() - started
            at = progress.experience.index
            if progress.kind == "consolidated":
                self._judge(progress.experience)
                self.seconds = time.monotonic() - started
                self._save()
                yield Event("evaluated", progress.experience.name, (at + 1) / count)
                continue
            if time.monotonic() - saved >= checkpoint_every_s:
                self._save()
                saved = time.monotonic()
            loss = float(progress.loss) if progress.loss is not None and progress.step % 10 == 0 else None
            yield Event("step", progress.experience.name, (at + progress.step / progress.steps) / count, loss)

    def _judge(self, experience: Experience) -> None:
        counts: dict[str, list[ImageCounts]] = {}
        stream = self.run.stream
        moment = f"{self.name}after-{experience.index}-{_file_name(experience.name)}"
        keep = None if self.folder is None else self.folder / moment
        with undisturbed(self.network):
            for task in self.tasks:
                stop = stream.stops[task]
                if stop.domain.samples[self.run.split]:
                    counts[stop.name] = count_domain(
                        self.segmenter, stream, stop, self.run.split, keep=keep and keep / str(task)
                    )
        scores = {name: summarise(images).to_json() for name, images in counts.items()}
        line = {"after": experience.name, "tasks": self.tasks, "scores": scores}
        self.lines.append(json.loads(json.dumps(line)))  # as it comes back from a checkpoint
        if self.folder is not None:
            everything = {domain: [image.to_json() for image in images] for domain, images in counts.items()}
            atomic_write(self.folder / f"{moment}.counts.json", json.dumps(everything).encode())
            self.segmenter.save(
                self.folder / f"{moment}.safetensors", {"after": experience.name, **self.run.identity()}
            )

    def _save(self) -> None:
        if self.folder is not None:
            progress = {"lines": self.lines, "seconds": self.seconds}
            state = {"learner": self.learner.state_dict(), "progress": json.dumps(progress)}
            save_checkpoint(self.folder / f"{self.name}{CHECKPOINT}", state)

    def _resume(self, allow_other_machine: bool) -> None:
        path = None if self.folder is None else self.folder / f"{self.name}{CHECKPOINT}"
        if path is None or not path.exists():
            return
        state = load_checkpoint(path)
        try:
            self.learner.load_state_dict(state["learner"], allow_other_machine=allow_other_machine)
            progress = json.loads(state["progress"])
            self.lines, self.seconds = progress["lines"], progress["seconds"]
        except MismatchError as error:
            raise RefusedError(
                f"{path}: {error}; --allow-other-machine goes on where only the machine differs, deleting the folder "
                "starts the run afresh"
            ) from error
        except (KeyError, ValueError, RuntimeError, TypeError, AttributeError) as error:
            raise BadInputError(
                f"{path}: does not fit this run ({error!r}); delete it to start the run afresh"
            ) from error


def tiles(stream: DomainStream, recipe: Recipe, task: int, split: str = "train") -> Dataset:
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
        ignore=stream.ignore,
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
        "peak_memory_mb": round(_peak_memory_mb()),
        "scores": final,
    }


def _peak_memory_mb() -> float:
    """Largest resident memory of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20) if sys.platform == "darwin" else peak / 1024
