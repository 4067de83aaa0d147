"""What each kind of job does, one module a kind; `KINDS` names them all."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from seamwise.errors import UsageError
from seamwise.worker.turn import Turn

KINDS = ("import", "assemble", "train", "evaluate", "predict", "export", "scrub")
_MODULES = {"import": "import_set"}  # `import` is a word of the language


def work_of(kind: str) -> Callable[[Turn], None]:
    """The function `work(turn)` of a kind's module: a child loads what its own job needs and nothing else."""
    if kind not in KINDS:
        raise UsageError(f"job kind {kind!r}: this version knows {', '.join(KINDS)}; update the worker")
    work: Callable[[Turn], None] = import_module(f"seamwise.worker.kinds.{_MODULES.get(kind, kind)}").work
    return work
