"""How much the same parameters matter for different tasks: correlations of the path integrals (figure 5)."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from seamwise.continual import Experience, Objective, Strategy, SynapticIntelligence
from seamwise.errors import BadInputError
from seamwise.vision.tensor_file import read_tensors, write_tensors

KIND = "seamwise path integrals"


class KeepPaths(Strategy):
    """Writes w of the hidden layers' weights at the end of each task; stands before SI in a chain, which uses w up.

    folder: gets one file a task.
    """

    def __init__(self, intelligence: Strategy, folder: Path) -> None:
        if not isinstance(intelligence, SynapticIntelligence):
            raise ValueError("only Synaptic Intelligence has path integrals to correlate")
        self.intelligence, self.folder = intelligence, folder

    def consolidate(
        self, model: nn.Module, objective: Objective | None = None, experience: Experience | None = None
    ) -> None:
        assert experience is not None
        names = [name for name, p in model.named_parameters() if p.ndim > 1][:-1]  # the last is the output layer's
        state = self.intelligence.state_dict()
        paths = {name: state[f"path.{name}"] for name in names}
        write_tensors(_file(self.folder, experience.index), paths, {"kind": KIND})


def check_paths(folder: Path, tasks: int) -> None:
    """Raises BadInputError if what finished tasks left is gone: a run would notice it only at its very end."""
    for task in range(tasks):
        try:
            read_tensors(_file(folder, task), KIND)
        except BadInputError as error:
            raise BadInputError(f"{error}; deleting the folder {folder} starts the run afresh") from error


def correlations(folder: Path, tasks: int) -> list[list[list[float]]]:
    """One matrix a hidden layer: Pearson's correlation over the layer's weights of w in task i and w in task j."""
    paths = [read_tensors(_file(folder, task), KIND)[0] for task in range(tasks)]
    layers = sorted(paths[0])
    return [torch.corrcoef(torch.stack([path[layer].flatten() for path in paths])).tolist() for layer in layers]


def _file(folder: Path, task: int) -> Path:
    return folder / f"path-after-{task}.safetensors"
