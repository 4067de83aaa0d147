import errno

import pytest
import torch

from seamwise.continual import DivergenceError
from seamwise.errors import SeamwiseError, UsageError
from seamwise.experiments.failures import explained


def test_memory_that_is_not_there() -> None:
    with pytest.raises(SeamwiseError, match="out of memory: use smaller batches"), explained():
        torch.empty(1 << 60, dtype=torch.uint8)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "run.json"), "run.json: No space left on device"),
        (MemoryError(), "out of memory"),
        (DivergenceError("the loss is no longer a number"), "no longer a number"),
    ],
)
def test_what_the_system_refuses(error: Exception, message: str) -> None:
    with pytest.raises(SeamwiseError, match=message) as caught, explained():
        raise error
    assert caught.value.exit_code == 1


@pytest.mark.parametrize("error", [UsageError("a name"), RuntimeError("a defect of ours"), KeyboardInterrupt()])
def test_the_rest_passes_as_it_is(error: BaseException) -> None:
    with pytest.raises(type(error)) as caught, explained():
        raise error
    assert caught.value is error
