"""How many pictures a classifier gets right."""

from __future__ import annotations

import torch
from torch import nn

from seamwise.continual import Classification, undisturbed
from seamwise.experiments.paper.tasks import Pixels

CHUNK = 2000


@torch.no_grad()
def accuracy(model: nn.Module, objective: Classification, samples: Pixels) -> float:
    """Share of the samples whose class has the largest logit among those their task may answer; in eval mode."""
    right = 0
    device = next(model.parameters()).device
    with undisturbed(model):
        model.eval()
        for rows in torch.split(torch.arange(len(samples)), CHUNK):
            batch = samples.batch(rows).to(device)
            right += int((objective.forward(model, batch).logits.argmax(1) == batch.y).sum())
    return right / len(samples)
