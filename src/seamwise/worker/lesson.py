"""A plan as objects that learn: the domain's tiles, the network, the learner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from seamwise.app.plans import LineSpec, Plan, ids_in_line
from seamwise.continual import Experience, Learner, build_strategy
from seamwise.continual.batch import Batch
from seamwise.continual.draw import Draw
from seamwise.experiments.recipe import Recipe
from seamwise.vision.domain import Domain
from seamwise.vision.losses import build_loss
from seamwise.vision.objective import Segmentation
from seamwise.vision.segmenter import Reading
from seamwise.vision.tiles import TileDataset
from seamwise.worker.tombstones import tile_numbers


@dataclass(frozen=True)
class Lesson:
    """What one round learns, and how."""

    plan: Plan
    domain: Domain

    @property
    def recipe(self) -> Recipe:
        return Recipe.of(self.plan.model.recipe)

    def learner(self) -> Learner:
        """A new learner, as the line's first round begins it."""
        recipe, line = self.recipe, self.plan.model
        training = recipe.training()
        if self.plan.epochs is not None:
            training = replace(training, steps=None, epochs=self.plan.epochs)
        tasks = {name: task for task, name in enumerate(line.domains)}
        class_sets = {tasks[name]: tuple(ids) for name, ids in line.class_sets.items()}
        loss = build_loss(recipe.loss, **recipe.loss_options)
        return Learner(
            recipe.build(len(line.classes), line.seed),
            build_strategy(self.plan.strategy, self.plan.parameters),
            Segmentation(loss, class_sets, line.ignore, channels_last=True),
            training,
            seed=line.seed,
            augment=recipe.augmentation(),
            device=self.plan.device,
        )

    def stream(self, index: int) -> Sequence[Experience]:
        """The line's stream up to this round's experience, number `index`; the earlier ones are behind it."""
        recipe, line = self.recipe, self.plan.model
        task = line.domains.index(self.domain.name)
        tiles = TileDataset(
            self.domain.samples["train"],
            classes=len(line.classes),
            tile=recipe.tile,
            channels=recipe.channels,
            task=task,
            remap=ids_in_line(self.domain.name, self.domain.classes, self.plan.line, line.classes, line.rule),
            scale=line.scales.get(self.domain.name, 1.0),
            defect_share=recipe.defect_share,
            window=recipe.window,
            ignore=line.ignore,
            most_tiles=recipe.most_tiles,
        )
        return [Experience(index, self.domain.name, TracedTiles(tiles), task=task)] * (index + 1)

    def reading(self) -> Reading:
        return reading_of(self.plan.model)


class TracedTiles:
    """Tiles whose `index` tells their image for good, so that a memory can drop those of a deleted one."""

    def __init__(self, tiles: TileDataset) -> None:
        self.tiles = tiles
        self.numbers = tile_numbers([sample.stem for sample in tiles.samples], tiles.ends.tolist())

    def __len__(self) -> int:
        return len(self.tiles)

    def batch(self, indices: Tensor, draw: Draw) -> Batch:
        return replace(self.tiles.batch(indices, draw), index=self.numbers[indices])


def reading_of(line: LineSpec) -> Reading:
    """How versions of a line read pictures."""
    recipe = Recipe.of(line.recipe)
    return Reading(
        classes=tuple(line.classes),
        channels=recipe.channels,
        tile=recipe.tile,
        overlap=recipe.overlap,
        window=recipe.window,
        bf16=recipe.bf16,
        scales=line.scales,
        class_sets={name: tuple(ids) for name, ids in line.class_sets.items()},
    )


def probe_pictures(lesson: Lesson, most: int = 4) -> list[Tensor]:
    """Prepared pictures (C, h, w) for a version's self-test, at most two tiles wide, around a defect where one is.

    From validation, or from training where there are none; those that show defects first.
    """
    recipe, line = lesson.recipe, lesson.plan.model
    samples = (lesson.domain.samples["val"] or lesson.domain.samples["train"])[:50]
    tiles = TileDataset(
        samples,
        classes=len(line.classes),
        tile=2 * recipe.tile,
        channels=recipe.channels,
        remap=ids_in_line(lesson.domain.name, lesson.domain.classes, lesson.plan.line, line.classes, line.rule),
        scale=line.scales.get(lesson.domain.name, 1.0),
        defect_share=1.0,
        window=recipe.window,
        ignore=line.ignore,
        most_tiles=1,
    )
    found = [tiles.batch(torch.tensor([place]), Draw(("probe",))) for place in range(len(samples))]
    found.sort(key=lambda batch: not bool(((batch.y > 0) & (batch.y != (line.ignore or 0))).any()))
    return [batch.x[0] for batch in found[:most]]


def has_pixels(strategy: str) -> bool:
    """Whether a strategy's state holds samples of the images it learned."""
    return bool({"replay", "gem"} & set(strategy.split("+")))
