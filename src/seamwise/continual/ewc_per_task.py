"""Elastic Weight Consolidation as first published (Kirkpatrick et al., PNAS 2017): one penalty for each finished task.

paper       here         meaning
lambda      strength     weight of the penalties  sum_t lambda/2 * F_t * (theta - theta_t)^2  (Eq. 3)
F_t                      exact diagonal Fisher information of task t at its end
theta_t                  parameters at the end of task t

A sum of parabolas is one parabola up to a constant: with F = sum_t F_t and m = (sum_t F_t theta_t) / F its gradient
is lambda F (theta - m). So two tensors a parameter suffice, however many tasks there were:

here        meaning
fisher      F
reference   m, moved by F_t / F * (theta_t - m) when task t ends; where F = 0 nothing pulls, and it follows theta_t
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from seamwise.continual.ewc import EWC


@dataclass(eq=False)
class PerTaskEWC(EWC):
    """Pulls each parameter towards where every finished task left it, each in proportion to its Fisher information.

    (The online form pulls towards where the last task left it.)
    """

    def join(self, p: Tensor, fresh: Tensor, fisher: Tensor, reference: Tensor) -> None:
        fisher.add_(fresh)
        reference.lerp_(p, torch.where(fisher > 0, fresh / fisher, 1.0))
