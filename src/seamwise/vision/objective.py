"""What segmentation training minimises: a mask loss over the classes each domain can show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from seamwise.continual.batch import Batch, Output
from seamwise.continual.features import with_features
from seamwise.continual.objective import ClassMask
from seamwise.vision.losses import Loss
from seamwise.vision.networks.network import Network


class Segmentation:
    """Per-image loss of masks; with class_sets each domain (task) answers its own classes only.

    loss: (logits (N, K, H, W), target (N, H, W), ignore) -> (N,), see `seamwise.vision.losses`. ignore: mask value of
    pixels without a label. channels_last: hand images over in the memory layout that convolutions on CPU prefer.
    """

    def __init__(
        self,
        loss: Loss,
        class_sets: Mapping[int, Sequence[int]] | None = None,
        ignore: int | None = None,
        channels_last: bool = False,
    ) -> None:
        self.loss_of, self.mask, self.ignore = loss, ClassMask(class_sets), ignore
        self.layout = torch.channels_last if channels_last else torch.contiguous_format

    def forward(self, model: nn.Module, batch: Batch, features: bool = False) -> Output:
        x = batch.x.contiguous(memory_format=self.layout)
        if not features:
            raw, hidden = model(x), None
        else:
            raw, hidden = model.features(x) if isinstance(model, Network) else with_features(model, x)
        raw = raw.float()
        return Output(self.mask(raw, batch.task), hidden, raw)

    def loss(self, output: Output, batch: Batch) -> Tensor:
        return self.loss_of(output.logits, batch.y, self.ignore)
