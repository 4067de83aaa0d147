"""Synaptic Intelligence in a training loop of one's own: the lines marked SI.

Learns the digits 0-1, 2-3, ... one pair after another with one network, and prints how well each pair is known then.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn

from seamwise.continual import Step, SynapticIntelligence


def main(c: float = 1.0) -> list[float]:
    torch.manual_seed(0)
    digits = load_digits()
    x, y = torch.tensor(digits.data / 16, dtype=torch.float32), torch.tensor(digits.target)
    model = nn.Sequential(nn.Linear(64, 100), nn.ReLU(), nn.Linear(100, 100), nn.ReLU(), nn.Linear(100, 10))
    pairs = [(0, 1), (2, 3), (4, 5), (6, 7), (8, 9)]
    si = SynapticIntelligence(c=c)  # SI
    for pair in pairs:
        rows = torch.isin(y, torch.tensor(pair)).nonzero().flatten()
        optimizer = torch.optim.Adam(model.parameters(), fused=True)
        for _ in range(10):
            for batch in rows[torch.randperm(len(rows))].chunk(max(1, len(rows) // 32)):
                optimizer.zero_grad()
                logits = model(x[batch])[:, list(pair)]  # each pair has a head of its own
                nn.functional.cross_entropy(logits, y[batch] - pair[0]).backward()  # type: ignore[no-untyped-call]
                si.adjust(Step(model))  # SI: adds the pull towards what was important
                optimizer.step()
                si.after_step(Step(model))  # SI: measures what the step was worth
        si.consolidate(model)  # SI: the pair is learned
    with torch.no_grad():
        known = []
        for pair in pairs:
            rows = torch.isin(y, torch.tensor(pair)).nonzero().flatten()
            known.append(float((model(x[rows])[:, list(pair)].argmax(1) + pair[0] == y[rows]).float().mean()))
    return known


if __name__ == "__main__":
    print("without SI:", [f"{accuracy:.3f}" for accuracy in main(c=0.0)])
    print("with SI:   ", [f"{accuracy:.3f}" for accuracy in main(c=1.0)])
