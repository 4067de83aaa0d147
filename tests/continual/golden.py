"""R matrices of the catalogue on the digits that scikit-learn carries: what a change of the code must not move.

python -m tests.continual.golden            prints the figures beside the kept ones
python -m tests.continual.golden --write    keeps them in golden.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import nn

from seamwise.continual import (
    Classification,
    Concatenation,
    Experience,
    Learner,
    TensorDataset,
    Training,
    build_strategy,
    metrics,
    undisturbed,
)
from seamwise.continual.catalogue import protocol

KEPT = Path(__file__).with_name("golden.json")
PAIRS = ((0, 1), (2, 3), (4, 5), (6, 7), (8, 9))
METHODS: dict[str, dict[str, float]] = {
    "finetuning": {},
    "si": {"c": 1.0},
    "ewc": {"strength": 300.0, "samples": 64},
    "ewc-per-task": {"strength": 300.0, "samples": 64},
    "lwf": {"strength": 2.0},
    "lfl": {"strength": 0.4},
    "replay": {"capacity": 50},
    "gem": {"capacity": 200},
    "si+lwf": {"c": 1.0},
    "si+replay": {"c": 1.0, "capacity": 50},
    "frozen": {},
    "joint": {},
    "separate": {},
}

Matrix = list[list[float | None]]


def split_digits() -> tuple[list[Experience], list[TensorDataset]]:
    """Five experiences of two digits each; every other sample is kept for testing."""
    digits = load_digits()
    x = torch.tensor(digits.data, dtype=torch.float32) / 16
    y = torch.tensor(digits.target, dtype=torch.int64)
    stream, tests = [], []
    for task, pair in enumerate(PAIRS):
        rows = torch.isin(y, torch.tensor(pair)).nonzero().flatten()
        train, test = rows[::2], rows[1::2]
        stream.append(Experience(task, f"digits {pair}", TensorDataset(x[train], y[train], task), pair))
        tests.append(TensorDataset(x[test], y[test], task))
    return stream, tests


def network() -> nn.Module:
    """64-32-32-10 with ReLU; the output layer starts at zero."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 10))
    for p in model[4].parameters():
        nn.init.zeros_(p)
    return model


def run(method: str) -> Matrix:
    """R of one method: accuracy on each pair of digits, its head given, after each experience."""
    stream, tests = split_digits()
    objective = Classification(dict(enumerate(PAIRS)))
    training = Training(batch_size=16, epochs=10, lr=3e-3)

    def learner() -> Learner:
        return Learner(network(), build_strategy(method, METHODS[method]), objective, training)

    def scores(model: nn.Module) -> list[float | None]:
        row: list[float | None] = []
        with undisturbed(model), torch.no_grad():
            model.eval()
            for test in tests:
                batch = test.batch(torch.arange(len(test)))
                answer = objective.forward(model, batch).logits.argmax(1)
                row.append(round(float((answer == batch.y).float().mean()), 4))
        return row

    if protocol(method) == "joint":
        one = learner()
        list(one.fit([Experience(0, "all", Concatenation([e.train for e in stream]))]))
        return [scores(one.model)]
    if protocol(method) == "separate":
        row: list[float | None] = []
        for experience in stream:
            one = learner()
            list(one.fit([Experience(0, experience.name, experience.train, experience.classes)]))
            row.append(scores(one.model)[experience.index])
        return [row]
    one = learner()
    return [scores(one.model) for progress in one.fit(stream) if progress.kind == "consolidated"]


def main() -> None:
    matrices = {method: run(method) for method in METHODS}
    for method, matrix in matrices.items():
        print(f"{method:12s} ACC {metrics.average(matrix):.3f}   after the last: {matrix[-1]}")
    if "--write" in sys.argv:
        lines = [f'  "{method}": {json.dumps(matrix)}' for method, matrix in matrices.items()]
        KEPT.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
