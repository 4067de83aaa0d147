"""Model versions so small that they are made, packaged and asked in a moment; and what they were counted to answer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from sqlalchemy import func, select

from seamwise.app.actor import SYSTEM
from seamwise.app.aliases import PRODUCTION, Change, apply
from seamwise.app.app import App
from seamwise.app.entries import entries
from seamwise.app.qualification import freeze_set
from seamwise.serving import make_package
from seamwise.storage.database import reading, writing
from seamwise.storage.object_rows import commit_object
from seamwise.storage.tables import (
    Alias,
    AliasAction,
    Annotation,
    Evaluation,
    EvaluationImage,
    Image,
    ModelVersion,
    Origin,
    QualificationSet,
    Side,
    Source,
)
from tests.app.pictures import make_domain
from tests.contract.rows import stored
from tests.quality.counting import image as counted
from tests.serving.tiny import CLASSES, picture, segmenter

SPEC: dict[str, Any] = {"recipe": {}, "rule": "same", "seed": 0, "ignore": None, "scales": {}, "class_sets": {}}


@cache
def files(seed: int) -> tuple[bytes, bytes]:
    """The bytes of `model.safetensors` and `serving.safetensors` of a tiny version."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        segmenter(seed=seed).save(folder / "model.safetensors")
        make_package(folder, [picture(1, 20, 20)], engine="torch")
        return (folder / "model.safetensors").read_bytes(), (folder / "serving.safetensors").read_bytes()


def add_version(
    app: App,
    line: str = "welds",
    seed: int | None = None,
    domains: Sequence[str] = ("steel",),
    classes: Sequence[str] = CLASSES,
    **spec: Any,
) -> ModelVersion:
    """The next version of a line, with weights of that seed (by default its number), ready to serve."""
    with reading(app.database) as session:
        number = (session.scalar(select(func.max(ModelVersion.number)).where(ModelVersion.line == line)) or 0) + 1
    weights, serving = (app.objects.put([data]) for data in files(number if seed is None else seed))
    with writing(app.database) as session:
        for content in (weights, serving):
            commit_object(session, content)
        version = ModelVersion(
            line=line,
            number=number,
            strategy={"name": "si", "parameters": {}},
            spec={**SPEC, "classes": list(classes), "domains": list(domains), "domain": domains[-1], **spec},
            engine="torch",
            weights_sha256=weights.sha256,
            serving_sha256=serving.sha256,
            environment={},
            created_by="test",
        )
        session.add(version)
        session.flush()
        return version


def serve(app: App, version: ModelVersion, alias: str = PRODUCTION) -> None:
    """Makes an alias name a version, without asking the gate."""
    with writing(app.database) as session:
        known = session.get(Alias, alias)
        sequence, before = (known.sequence, known.model_id) if known else (0, None)
        apply(session, SYSTEM, Change(alias, sequence, AliasAction.FORCED, before, version.id, "test"))


def judged_domain(app: App, name: str = "steel", images: int = 100) -> QualificationSet:
    """A domain with a frozen qualification set, each of its images of a weld of its own; without any pixels."""
    domain = make_domain(app, name, CLASSES[:2])
    with writing(app.database) as session:
        for number in range(images):
            weld = f"{name}-{number}"
            bytes_of_it = stored(weld)
            commit_object(session, bytes_of_it)
            image = Image(
                sha256=bytes_of_it.sha256,
                object_sha256=bytes_of_it.sha256,
                domain_id=domain.id,
                source=Source.OFFLINE,
                width=100,
                height=100,
                bits=8,
                weld=weld,
                side=Side.TEST,
                received_by="test",
            )
            session.add(image)
            session.flush()
            session.add(
                Annotation(image_id=image.id, number=1, origin=Origin.DRAWN, label="background", made_by="test")
            )
    return freeze_set(app, SYSTEM, name, "test")


def evaluate(app: App, version: ModelVersion, judged: QualificationSet, quality: float) -> None:
    """Counts of a version that finds about this share of the pixels of every defect."""
    truth, rng = np.random.default_rng(1), np.random.default_rng([2, version.id])
    with writing(app.database) as session:
        row = Evaluation(
            model_id=version.id,
            snapshot_id=judged.snapshot_id,
            engine="torch",
            artefact_sha256=version.weights_sha256,
            summary={},
        )
        session.add(row)
        session.flush()
        for entry in entries(session, judged.snapshot_id):
            areas = (int(truth.integers(300, 500)), 20)
            share = float(np.clip(quality + truth.normal(0, 0.05) + rng.normal(0, 0.02), 0, 1))
            counts = counted(entry.stem, [(1, area, round(area * share)) for area in areas])
            session.add(
                EvaluationImage(
                    evaluation_id=row.id, position=entry.position, image_id=entry.image_id, counts=counts.to_json()
                )
            )


def two_class(app: App, domains: Sequence[str] = ("steel",)) -> ModelVersion:
    """A version of background and crack."""
    return add_version(app, classes=CLASSES[:2], domains=domains)
