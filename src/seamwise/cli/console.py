"""What a command shows: progress bars on a terminal, plain lines in a log; results as tables or JSON."""

from __future__ import annotations

import json
import re
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import yaml
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from seamwise.errors import SeamwiseError, UsageError
from seamwise.experiments.failures import explained
from seamwise.experiments.plain_yaml import load_yaml
from seamwise.files import atomic_write

PLAIN_EVERY_S = 15.0
INTERRUPTED = 130

# Progress and notes go to standard error, so that `--json -` leaves standard output to the result.
console = Console(stderr=True, highlight=False, emoji=False)


def say(text: str) -> None:
    console.print(text, markup=False, soft_wrap=True)


class Bars:
    """One line of progress for each thing under way."""

    def __init__(self) -> None:
        self.terminal = console.is_terminal
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
        )
        self.progress = Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=console)
        self.tasks: dict[str, TaskID] = {}
        self.spoken: dict[str, float] = {}

    def __enter__(self) -> Bars:
        if self.terminal:
            self.progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.terminal:
            self.progress.stop()

    def show(self, name: str, fraction: float, note: str = "", *, always: bool = False) -> None:
        """Sets a line's progress (0..1). In a log it is printed only now and then, or when `always`."""
        if self.terminal:
            if name not in self.tasks:
                self.tasks[name] = self.progress.add_task(name, total=1.0)
            self.progress.update(self.tasks[name], completed=fraction, description=f"{name} {note}".strip())
            return
        now = time.monotonic()
        if always or now - self.spoken.get(name, now - PLAIN_EVERY_S) >= PLAIN_EVERY_S:
            self.spoken[name] = now
            say(f"{name}: {fraction:4.0%} {note}".rstrip())

    def done(self, name: str, note: str = "", *, failed: bool = False) -> None:
        """Ends a line; what remains is `NAME: done`, or `NAME: failed`, and the note."""
        if self.terminal and name in self.tasks:
            self.progress.remove_task(self.tasks.pop(name))
        say(f"{name}: {'failed' if failed else 'done'} {note}".rstrip())


def stage(json_file: str | None) -> TextIO:
    """Where tables go: standard output, unless `--json -` keeps that for the result."""
    return sys.stderr if json_file == "-" else sys.stdout


def table(headers: Sequence[str], rows: Sequence[Sequence[str]], file: TextIO) -> None:
    """Prints a table; the first column is text, the others are numbers."""
    grid = Table()
    for place, header in enumerate(headers):
        grid.add_column(header, justify="left" if place == 0 else "right")
    for row in rows:
        grid.add_row(*row)
    width = None if file.isatty() else max(140, 16 * len(headers))  # in a log nothing is cut off
    Console(file=file, highlight=False, markup=False, emoji=False, width=width).print(grid)


def write_json(target: str | None, value: Mapping[str, Any]) -> None:
    """`--json FILE`, or - for standard output."""
    if target is None:
        return
    text = json.dumps(value, indent=1, ensure_ascii=False) + "\n"
    if target == "-":
        sys.stdout.write(text)
    else:
        path = Path(target)
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, text.encode())


def command_line() -> str:
    """The command as it was given, for results to name; absolute paths by their last part alone."""
    words = [re.sub(r"^(-[^=]*=)?/.*", lambda m: (m[1] or "") + Path(m[0]).name, word) for word in sys.argv[1:]]
    # a path need not be text, results are
    return shlex.join(["seamwise", *words]).encode("utf-8", "backslashreplace").decode()


@contextmanager
def readable_errors() -> Iterator[None]:
    """Turns what can go wrong into one clear line and the right exit code."""
    try:
        with explained():
            yield
    except SeamwiseError as error:
        say(f"error: {error}")
        raise SystemExit(error.exit_code) from error
    except KeyboardInterrupt as error:
        raise SystemExit(_stopped()) from error
    except SystemExit as ended:
        if ended.code == INTERRUPTED:  # typer has turned Ctrl-C into this
            _stopped()
        raise


def _stopped() -> int:
    say("stopped; learn, compare, reproduce and demo go on where they were when the same command is given again")
    return INTERRUPTED


def pairs(items: Sequence[str], option: str) -> dict[str, Any]:
    """`key=value` options as plain values (numbers, true/false, null, YAML for more)."""
    values: dict[str, Any] = {}
    for item in items:
        key, sign, text = item.partition("=")
        if not sign or not key:
            raise UsageError(f"{option} {item!r}: write it as name=value")
        try:
            values[key.strip()] = load_yaml(text)
        except yaml.YAMLError as error:
            raise UsageError(f"{option} {item!r}: the value cannot be read ({error})") from error
    return values


def variant(text: str) -> tuple[str, dict[str, Any]]:
    """`si+replay:c=10,capacity=200` -> the strategy's name and its parameters."""
    name, _, options = text.partition(":")
    return name, pairs([part for part in options.split(",") if part], "--strategy")
