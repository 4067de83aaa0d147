"""Other continual-learning libraries as trainers, each through its own classes; imported only when one is built."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainers import METHODS, Method, Plain, Seamwise, SeamwiseLearner, Setup, Trainer

CLASSES = 10


class Avalanche(Trainer):
    """Avalanche's strategies in its own training loop, without its data loader."""

    loads = False

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        mend_torchvision()
        from avalanche.benchmarks import benchmark_from_datasets  # type: ignore[import-not-found]
        from avalanche.benchmarks.utils import as_classification_dataset  # type: ignore[import-not-found]
        from avalanche.training import plugins  # type: ignore[import-not-found]
        from avalanche.training.supervised import Naive  # type: ignore[import-not-found]

        data = []
        for task in range(len(setup.batches)):
            samples = torch.utils.data.TensorDataset(*setup.samples(task))
            samples.targets = samples.tensors[1].tolist()  # type: ignore[attr-defined]
            data.append(as_classification_dataset(samples))
        self.stream = benchmark_from_datasets(train=data).train_stream
        self.si = plugins.SynapticIntelligencePlugin(si_lambda=setup.c, eps=setup.xi)
        chosen = {"finetuning": [], "si": [self.si], "ewc": [plugins.EWCPlugin(ewc_lambda=setup.c)]}[setup.method]
        self.strategy = Naive(
            model=self.model,
            optimizer=self.optimizer,
            train_mb_size=len(setup.batches[0][0]),
            plugins=chosen,
            evaluator=None,  # its default writes a log and measures accuracy
        )

    def begin(self) -> None:
        """What `strategy.train` does before its first epoch; called as a whole it could not be stopped."""
        self.strategy.is_training = True
        self.strategy.experience = self.stream[self.task]
        self.strategy._before_training_exp()

    def end(self) -> None:
        self.strategy._after_training_exp()

    def run(self, steps: int) -> None:
        if not self.loads:
            self.strategy.dataloader = [list(self.batch)] * steps
        self.strategy.training_epoch()

    def importances(self) -> list[Tensor]:
        return [kept.data for kept in self.si.ewc_data[1].values()]

    def path(self) -> list[Tensor]:
        return [-kept.data for kept in self.si.syn_data["trajectory"].values()]


class AvalancheWithLoader(Avalanche):
    """Avalanche's whole loop; one pass of its loader is `setup.steps` steps, whatever `run` is asked for."""

    loads = True


class CapyMOA(Trainer):
    """CapyMOA's online continual learners (they run on a Java machine's library, but train with torch alone)."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        mend_torchvision()
        from capymoa.classifier import Finetune  # type: ignore[import-not-found]
        from capymoa.ocl import strategy  # type: ignore[import-not-found]
        from capymoa.ocl.events import Dispatcher  # type: ignore[import-not-found]
        from capymoa.stream import Schema  # type: ignore[import-not-found]

        features = [f"x{place}" for place in range(setup.batches[0][0].shape[1])]
        classes = {"y": [str(label) for label in range(CLASSES)]}
        schema = Schema.from_custom([*features, "y"], target="y", categories=classes)
        parts = (schema, self.model, self.optimizer)
        self.events = Dispatcher()
        self.learner: Any = Finetune(*parts)
        if setup.method != "finetuning":
            si = setup.method == "si"
            self.learner = strategy.SI(*parts, setup.c, setup.xi) if si else strategy.EWC(*parts, setup.c)
            self.learner.attach_with(self.events)

    def begin(self) -> None:
        from capymoa.ocl.evaluation.events import TrainTaskBegin  # type: ignore[import-not-found]

        self.events.notify(TrainTaskBegin(self.task, 0))

    def run(self, steps: int) -> None:
        x, y = self.batch
        for _ in range(steps):
            self.learner.batch_train(x, y)

    def importances(self) -> list[Tensor]:
        return list(self.learner._buf_importance)

    def path(self) -> list[Tensor]:
        return list(self.learner._buf_trajectory)


class Clearn(Trainer):
    """clearn's strategies, called as its `ContinualModel.fit` calls them (which cannot be stopped within a task)."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        from clearn.strategies import EWC, SI  # type: ignore[import-not-found]

        self.strategy = SI(self.model, setup.c, setup.xi) if setup.method == "si" else EWC(self.model, setup.c)

    def end(self) -> None:
        self.strategy.consolidate([self.batch])

    def run(self, steps: int) -> None:
        x, y = self.batch
        for _ in range(steps):
            self.optimizer.zero_grad()
            loss = F.cross_entropy(self.model(x), y) + self.strategy.penalty()
            loss = loss + self.strategy.get_replay_loss(self.model, F.cross_entropy)
            loss.backward()
            self.strategy.before_optimizer_step()
            self.optimizer.step()
            self.strategy.after_optimizer_step()
            loss.item()

    def importances(self) -> list[Tensor]:
        return list(self.strategy._omega.values())

    def path(self) -> list[Tensor]:
        return list(self.strategy._W.values())


class Gmumcl(Trainer):
    """gmumcl's plugins in its `Composer`, which takes one batch at a time."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        from gmumcl.cl.baselines.penalties import EWC, SI, Naive  # type: ignore[import-not-found]
        from gmumcl.cl.composer import Composer  # type: ignore[import-not-found]

        plugin = {"finetuning": Naive, "si": SI, "ewc": EWC}[setup.method]
        self.plugin = plugin({"lambda": setup.c, "xi": setup.xi})
        self.plugin.set_model(self.model)
        self.composer = Composer(self.model, nn.CrossEntropyLoss(), [self.plugin])

    def begin(self) -> None:
        self.plugin.setup_task(self.task)

    def end(self) -> None:
        self.plugin.on_task_end(self.task, SimpleNamespace(fit_loader=[self.batch], classes=range(CLASSES)))

    def run(self, steps: int) -> None:
        for _ in range(steps):
            self.composer.run_batch(*self.batch, self.optimizer)

    def importances(self) -> list[Tensor]:
        return list(self.plugin.big_omega.values())

    def path(self) -> list[Tensor]:
        return list(self.plugin.omega.values())


@dataclass(frozen=True)
class Row:
    """A line of the table. package: its name for pip and versions (None: always there)."""

    build: Callable[[Setup], Trainer]
    package: str | None = None
    methods: tuple[Method, ...] = METHODS
    fused: bool = False  # Adam
    judged: bool = True  # whether what its SI does is looked at (once a library is enough)


ROWS = {
    "plain loop, fused Adam": Row(Plain, methods=("finetuning",), fused=True, judged=False),
    "seamwise": Row(Seamwise),
    "seamwise, fused Adam": Row(Seamwise, fused=True, judged=False),
    "seamwise `Learner`, loads data, fused Adam": Row(SeamwiseLearner, judged=False),
    "Avalanche": Row(Avalanche, "avalanche-lib"),
    "Avalanche, loads data": Row(AvalancheWithLoader, "avalanche-lib", judged=False),
    "CapyMOA": Row(CapyMOA, "capymoa"),
    "clearn": Row(Clearn, "clearn-ai", methods=("si", "ewc")),
    "gmumcl": Row(Gmumcl, "gmumcl"),
}

_operators: list[Any] = []  # kept alive as long as they shall be known


def mend_torchvision() -> None:
    """Lets `import torchvision` pass beside a torch without its compiled operators (nothing here calls them)."""
    if _operators:
        return
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import torchvision  # type: ignore[import-not-found]  # noqa: F401
    except RuntimeError:
        library: Any = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _operators.append(library)
