"""Failures that are nobody's mistake (a full disk, no memory, a loss of NaN) as errors meant for a person."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from seamwise.errors import SeamwiseError

_NO_MEMORY = "out of memory: use smaller batches (or tiles), or fewer jobs"


@contextmanager
def explained() -> Iterator[None]:
    """Raises SeamwiseError, with the way out, for what the system refuses inside the block."""
    try:
        yield
    except MemoryError as error:
        raise SeamwiseError(_NO_MEMORY) from error
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise SeamwiseError(f"{where}{error.strerror or error}; free it, or choose another place") from error
    except RuntimeError as error:
        told = _of_learning(error)
        if told is None:
            raise
        raise SeamwiseError(told) from error


def _of_learning(error: RuntimeError) -> str | None:
    # Here, where something has gone wrong already: above, torch would be loaded for commands that never learn.
    import torch

    from seamwise.continual import DivergenceError

    if isinstance(error, DivergenceError):
        return str(error)
    # On a CPU torch has no class of its own for it.
    full = isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error)
    return _NO_MEMORY if full else None
