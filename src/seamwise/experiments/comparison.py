"""Several strategies and seeds over one stream, side by side in processes, into a results file that can be resumed."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import platform
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import torch

from seamwise.errors import BadInputError, RefusedError, SeamwiseError
from seamwise.experiments.groups import gather
from seamwise.experiments.runs import CHECKPOINT_EVERY_S, Run
from seamwise.files import atomic_write, check_writable

# One thread each. glibc otherwise gives large blocks back to the system after every step and pays for fresh pages at
# the next: a tenth of a U-Net's step.
ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "PYTHONUNBUFFERED": "1",
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 32),
}


def versions() -> dict[str, str]:
    """What the results were made with."""
    names = ("seamwise", "torch", "numpy")
    return {
        "python": platform.python_version(),
        **{name: version(name).split("+")[0] for name in names},
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "machine": platform.machine(),
    }


_WORDS = {"quick": "form (full or reduced)"}  # for what a results file's keys do not say by themselves


class AnyRun(Protocol):
    """One run of a comparison, whatever it learns."""

    @property
    def device(self) -> str: ...
    @property
    def strategy(self) -> str: ...
    @property
    def parameters(self) -> Mapping[str, Any]: ...
    @property
    def seed(self) -> int: ...
    @property
    def label(self) -> str:
        """What tells it from the others of its seed."""
        ...

    @property
    def all_parameters(self) -> dict[str, Any]:
        """The strategy's parameters with their defaults filled in."""
        ...

    def identity(self) -> dict[str, Any]:
        """What a result must share to be the same run's."""
        ...

    def job(self) -> dict[str, Any]:
        """What a process of its own needs to do it (see `child`)."""
        ...


def folder_of(run: AnyRun) -> str:
    """A folder name of its own for every run."""
    digest = hashlib.sha256(json.dumps(run.identity(), sort_keys=True).encode()).hexdigest()[:8]
    return f"{run.strategy}-seed{run.seed}-{digest}"


@dataclass
class ResultsFile:
    """`{name, command, versions, ..., runs: [...]}`; every finished run is in the file before the next begins.

    Several processes may add to one file. Each row says what it was made with; `command` and `versions` at the top are
    those of the row added last. order: of the rows in the file (None: as they come).
    """

    path: Path
    name: str
    command: str
    common: dict[str, Any]
    runs: list[dict[str, Any]] = field(default_factory=list)
    order: Callable[[dict[str, Any]], Any] | None = None

    def open(self) -> None:
        """Takes over the runs of an existing file. Raises RefusedError if its stream or recipe differ.

        A place that cannot be written is refused here, not when the first run is through.
        """
        if self.path.exists():
            self.runs = self._read()["runs"]
        check_writable(self.path.parent)

    def has(self, run: AnyRun) -> bool:
        mine = (run.strategy, run.seed, json.loads(json.dumps(run.all_parameters)))
        return any(_key(row) == mine for row in self.runs)

    def add(self, row: dict[str, Any], device: str = "cpu") -> None:
        """Puts a run into the file, beside those that other processes have added meanwhile."""
        made = {"command": self.command, "device": device, "versions": versions()}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(self.path.parent):
            found = self._read() if self.path.exists() else {"runs": []}
            # of files that were written before rows said this
            old = {name: found[name] for name in ("command", "versions") if name in found}
            others = [old | theirs for theirs in found["runs"] if _key(theirs) != _key(row)]
            self.runs = [*others, {**row, **made}]
            self.write()

    def write(self) -> None:
        runs = self.runs if self.order is None else sorted(self.runs, key=self.order)
        content = {"name": self.name, "command": self.command, "versions": versions(), **self.common, "runs": runs}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(self.path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())

    def content(self) -> dict[str, Any]:
        return dict(json.loads(self.path.read_text(encoding="utf-8")))

    def _read(self) -> dict[str, Any]:
        try:
            found = self.content()
            common = {key: found[key] for key in self.common}
            runs = found["runs"]
            if not isinstance(runs, list):
                raise ValueError("its runs are no list")
            for row in runs:
                if type(row["seed"]) is not int or not isinstance(row["strategy"], str):
                    raise ValueError(f"a run of strategy {row['strategy']!r} and seed {row['seed']!r}")
            if "domains" in common:
                gather({"domains": common["domains"], "runs": runs})
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, BadInputError) as error:
            raise BadInputError(
                f"{self.path}: not a results file, or a damaged one ({error!r}); choose another place with --results, "
                "or delete it"
            ) from error
        differ = [key for key in self.common if common[key] != self.common[key]]
        if differ:
            raise RefusedError(
                f"{self.path} holds results with another {' and another '.join(_WORDS.get(d, d) for d in differ)}: "
                "choose another place with --results, or delete it to start afresh"
            )
        return found | {"runs": runs}


def _key(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """By what a row is known: the run it is of."""
    return row["strategy"], row["seed"], row.get("parameters")


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keeps other processes from changing files of the folder the same way meanwhile; leaves no file behind."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def common_of(run: Run) -> dict[str, Any]:
    """What all runs of a comparison share, as the results file holds it."""
    identity = run.identity()
    return {
        "domains": [stop.name for stop in run.stream.stops],
        "metric": run.metric,
        "split": run.split,
        "stream": identity["stream"],
        "recipe": identity["recipe"],
    }


@dataclass(frozen=True)
class Update:
    """What a running comparison tells. kind as in `Event`, or "failed" with a message."""

    run: AnyRun
    kind: str
    fraction: float = 0.0
    experience: str = ""
    loss: float | None = None
    message: str = ""


class ComparisonFailedError(SeamwiseError):
    """Some runs failed; the others are in the results file. Ends with their exit code where they have one in common."""

    def __init__(self, failures: Sequence[tuple[str, int]]) -> None:
        super().__init__("\n".join(["some runs failed, the others are kept:", *(message for message, _ in failures)]))
        self.failures = tuple(failures)
        codes = {code for _, code in failures}
        self.exit_code = codes.pop() if len(codes) == 1 else SeamwiseError.exit_code


def compare(
    runs: Sequence[AnyRun],
    results: ResultsFile,
    work: Path | None,
    jobs: int = 2,
    *,
    checkpoint_every_s: float = CHECKPOINT_EVERY_S,
    allow_other_machine: bool = False,
    reuse: bool = False,
) -> Generator[Update, None, None]:
    """Runs what the results file does not hold yet, `jobs` at a time, each in a single-threaded process of its own.

    work: the folder of checkpoints; runs cut off there go on. Failures are told and do not stop the others; at the
    end they raise ComparisonFailedError. reuse: a process takes the next run when it is through, which saves its start
    where runs are short. The others: see `execute`.
    """
    waiting = [run for run in runs if not results.has(run)]
    inbox: queue.Queue[tuple[int, str | None]] = queue.Queue()
    running: dict[int, tuple[AnyRun, subprocess.Popen[str]]] = {}
    failures: list[tuple[str, int]] = []
    through: set[int] = set()  # processes without a run
    number = 0
    settings = {"checkpoint_every_s": checkpoint_every_s, "allow_other_machine": allow_other_machine}

    def job(run: AnyRun) -> dict[str, Any]:
        return run.job() | settings | {"folder": None if work is None else str(work / folder_of(run))}

    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                run, number = waiting.pop(0), number + 1
                process = _start()
                _send(process, job(run))
                running[number] = (run, process)
                threading.Thread(target=_listen, args=(number, process, inbox), daemon=True).start()
            at, line = inbox.get()
            run, process = running[at]
            if line is None:
                del running[at]
                if _end(process) != 0 and at not in through:
                    message = _why_it_ended(process.returncode)
                    failures.append((f"{run.label} seed {run.seed}: {message}", SeamwiseError.exit_code))
                    yield Update(run, "failed", message=message)
                continue
            event = json.loads(line)
            update = _update(run, event, results)
            if update.kind == "failed":
                failures.append((f"{run.label} seed {run.seed}: {update.message}", event["exit_code"]))
            if update.kind in ("done", "failed"):
                if reuse and waiting:
                    running[at] = (waiting.pop(0), process)
                    _send(process, job(running[at][0]))
                else:
                    through.add(at)
                    _send(process, None)
            yield update
    finally:
        for _, process in running.values():
            process.terminate()
            _end(process)
    if failures:
        raise ComparisonFailedError(failures)


def _update(run: AnyRun, event: Mapping[str, Any], results: ResultsFile) -> Update:
    if event["kind"] == "failed":
        return Update(run, "failed", message=event["message"])
    if event["kind"] == "done":
        results.add(event["row"], run.device)
    return Update(run, event["kind"], event["fraction"], event["experience"], event["loss"])


def _end(process: subprocess.Popen[str]) -> int:
    """Waits for a child and closes the pipe that kept it alive; its status."""
    assert process.stdin is not None
    status = process.wait()
    with contextlib.suppress(BrokenPipeError):  # a job that it never read is still on its way
        process.stdin.close()
    return status


def _why_it_ended(status: int) -> str:
    if status == -signal.SIGKILL:
        return "its process was killed, perhaps for lack of memory: use fewer jobs (or smaller tiles)"
    return f"its process ended with status {status}; what it printed tells why"


def _start() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "seamwise.experiments.child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | ENVIRONMENT,
        start_new_session=True,  # Ctrl-C is for the parent, which ends its children
    )


def _send(process: subprocess.Popen[str], job: Mapping[str, Any] | None) -> None:
    """A job for a child; None: there are no more. One that has died is noticed when its output ends."""
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        process.stdin.write(("" if job is None else json.dumps(job)) + "\n")
        process.stdin.flush()


def _listen(number: int, process: subprocess.Popen[str], inbox: queue.Queue[tuple[int, str | None]]) -> None:
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            inbox.put((number, line))
    inbox.put((number, None))
