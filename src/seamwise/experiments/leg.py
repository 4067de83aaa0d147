"""One model's way through some experiences: learned, judged after each, and gone on with where it was stopped."""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from seamwise.continual import Experience, Learner, MismatchError, Progress
from seamwise.errors import BadInputError, RefusedError
from seamwise.experiments.checkpoint import load_checkpoint, save_checkpoint
from seamwise.experiments.event import Event

CHECKPOINT = "checkpoint.safetensors"
Judge = Callable[[Experience], Mapping[str, Any]]


class Leg:
    """A learner with its experiences; `lines` holds what `judge` measured after each, as JSON values.

    folder: where the checkpoint lies (None: nothing is kept); one found there is taken over. Raises RefusedError or
    BadInputError if that cannot be done.
    """

    def __init__(
        self,
        learner: Learner,
        experiences: Sequence[Experience],
        judge: Judge,
        folder: Path | None,
        name: str = "",
        *,
        allow_other_machine: bool = False,
    ) -> None:
        self.learner, self.experiences, self.judge = learner, experiences, judge
        self.path = None if folder is None else folder / f"{name}{CHECKPOINT}"
        self.lines: list[dict[str, Any]] = []
        self.seconds = 0.0
        if self.path is not None and self.path.exists():
            self._resume(self.path, allow_other_machine)

    def go(self, due: Callable[[Progress], bool]) -> Iterator[Event]:
        """Learns what is left; saves after every experience and after each step that is `due`."""
        started = time.monotonic() - self.seconds
        count = len(self.experiences)
        for progress in self.learner.fit(self.experiences):
            at, name = progress.experience.index, progress.experience.name
            if progress.kind == "consolidated":
                line = self.judge(progress.experience)
                self.lines.append(json.loads(json.dumps(line)))  # as it comes back from a checkpoint
                self.seconds = time.monotonic() - started
                self.save()
                yield Event("evaluated", name, (at + 1) / count)
                continue
            if due(progress):
                self.seconds = time.monotonic() - started
                self.save()
            loss = float(progress.loss) if progress.loss is not None and progress.step % 10 == 0 else None
            yield Event("step", name, (at + progress.step / progress.steps) / count, loss)

    def save(self) -> None:
        if self.path is not None:
            progress = {"lines": self.lines, "seconds": self.seconds}
            save_checkpoint(self.path, {"learner": self.learner.state_dict(), "progress": json.dumps(progress)})

    def _resume(self, path: Path, allow_other_machine: bool) -> None:
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


def one_after_another(
    builders: Sequence[Callable[[], Leg]], due: Callable[[Progress], bool], finished: list[Leg]
) -> Iterator[Event]:
    """Goes several legs in turn, each built when its turn comes and added to `finished` when it is through."""
    for number, build in enumerate(builders):
        leg = build()
        for event in leg.go(due):
            yield replace(event, fraction=(number + event.fraction) / len(builders))
        finished.append(leg)


def every(seconds: float) -> Callable[[Progress], bool]:
    """Due when so many seconds have passed since the last time; 0: at every step."""
    last = time.monotonic()

    def due(_: Progress) -> bool:
        nonlocal last
        now = time.monotonic()
        if now - last < seconds:
            return False
        last = now
        return True

    return due


def peak_memory_mb() -> float:
    """Largest resident memory of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20) if sys.platform == "darwin" else peak / 1024
