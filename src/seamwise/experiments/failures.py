"""Failures that are nobody's mistake (a full disk, no memory, a loss of NaN) as errors meant for a person."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from seamwise.continual import DivergenceError
from seamwise.errors import SeamwiseError


@contextmanager
def explained() -> Iterator[None]:
    """Raises SeamwiseError, with the way out, for what the system refuses inside the block."""
    try:
        yield
    except DivergenceError as error:
        raise SeamwiseError(str(error)) from error
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise SeamwiseError("out of memory: use smaller tiles or batches, or fewer jobs") from error
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise SeamwiseError(f"{where}{error.strerror or error}; free it, or choose another place") from error
    except RuntimeError as error:
        if "can't allocate memory" not in str(error):  # torch has no class of its own for this on CPU
            raise
        raise SeamwiseError("out of memory: use smaller tiles or batches, or fewer jobs") from error
