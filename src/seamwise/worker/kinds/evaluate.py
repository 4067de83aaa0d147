"""Job kind `evaluate`: what a version would answer if it served, counted on the qualification sets, and the verdict."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from sqlalchemy import update
from sqlalchemy.orm import Session

from seamwise.app.app import App
from seamwise.app.entries import entries
from seamwise.app.evaluations import EvaluationPlan, JudgedSet, artefact_of, find_evaluation
from seamwise.app.models import fetch_package, find_model, name_of
from seamwise.app.plans import LineSpec, ids_in_line
from seamwise.app.promotion import judge_version, promote_if_passed
from seamwise.app.snapshots import load_domains
from seamwise.errors import RefusedError
from seamwise.experiments.failures import explained
from seamwise.serving import Engine, load_package
from seamwise.storage.database import reading, writing
from seamwise.storage.tables import Evaluation, EvaluationImage, Job, ModelVersion, Round
from seamwise.tasks.attempts import heartbeat
from seamwise.vision.domain import Domain
from seamwise.vision.prepare import load_mask
from seamwise.vision.scores import ImageCounts, count_image, summarise
from seamwise.worker.turn import Turn


def work(turn: Turn) -> None:
    """Evaluates a version on each set where it was not yet, and stores its scores by domain and the gate's verdict."""
    plan = EvaluationPlan.model_validate(turn.job.spec)
    with reading(turn.app.database) as session:
        version = find_model(session, plan.model)
    folder = turn.folder / "package"
    folder.mkdir()
    fetch_package(turn.app, version, folder)
    rows: dict[str, Evaluation] = {}
    with explained():
        engine = load_package(folder, name_of(version), threads=plan.threads).engine
        for place, judged in enumerate(plan.sets):
            row = _evaluation(turn, version, engine, judged, Share(place, len(plan.sets)))
            if row is not None:
                rows[judged.domain] = row
    scores = {domain: row.summary[metric_of(version)] for domain, row in rows.items()}
    verdict = judge_version(turn.app, version.id)
    promoted = ""

    def write(session: Session, job: Job) -> dict[str, Any]:
        nonlocal promoted
        row = find_model(session, version.id)
        row.r_row, row.verdict = scores, verdict
        figures = {"scores": scores, "verdict": verdict["verdict"]}
        session.execute(update(Round).where(Round.model_id == row.id).values(figures=figures))
        if plan.candidate:  # an old version that is judged again must not come back by itself
            promoted = _promoted(turn.app, session, row)
        return {"model": row.id, "version": name_of(row), "evaluations": {d: r.id for d, r in rows.items()}, **figures}

    turn.finish(write)
    if promoted:
        turn.say(promoted)


def _promoted(app: App, session: Session, version: ModelVersion) -> str:
    """Where the policy says so, a version that passed serves from the commit on that stores its verdict; what to say.

    Refused where production changed meanwhile: the verdict is stored all the same.
    """
    try:
        if promote_if_passed(session, app.settings, version) is None:
            return ""
    except RefusedError as error:
        return str(error)
    return f"{name_of(version)} passed the gate and was promoted by itself"


def metric_of(version: ModelVersion) -> str:
    """The score that the R matrix of a version's line is made of."""
    return "defect_iou" if len(version.spec["classes"]) == 2 else "mean_defect_class_iou"


class Share(NamedTuple):
    """Which part of a job something is: number `place` of `of`."""

    place: int
    of: int


def _evaluation(
    turn: Turn, version: ModelVersion, engine: Engine, judged: JudgedSet, share: Share
) -> Evaluation | None:
    """The version's evaluation on a set, made unless it is there; None where it cannot answer for that domain."""
    with reading(turn.app.database) as session:
        known = find_evaluation(session, version, judged.snapshot)
    if known is not None:
        return known
    with TemporaryDirectory(dir=turn.folder) as folder:
        domains = load_domains(turn.app, judged.snapshot, Path(folder))
        if not domains:
            turn.say(f"not evaluated on {judged.domain}: all images of its set were deleted", "warning")
            return None
        try:
            counts = _counts(turn, version, engine, domains[0], share)
        except RefusedError as error:
            turn.say(f"not evaluated on {judged.domain}: {error}", "warning")
            return None
    return _stored(turn, version, judged, counts)


def _counts(turn: Turn, version: ModelVersion, engine: Engine, domain: Domain, share: Share) -> dict[str, ImageCounts]:
    """What the engine's answer to each picture counts, by the picture's stem, at the picture's own size."""
    line = LineSpec.model_validate(version.spec)
    remap = ids_in_line(domain.name, domain.classes, version.line, line.classes, line.rule)
    classes, counts = len(line.classes), {}
    if domain.ignore is not None and domain.ignore < classes:
        raise RefusedError(
            f"domain {domain.name} ignores mask value {domain.ignore}, which is one of the line's class ids"
        )
    samples = [sample for side in sorted(domain.samples) for sample in domain.samples[side]]
    for done, sample in enumerate(samples):
        turn.give_up_if_stopping()
        mask = load_mask(sample, classes, domain.ignore, remap)
        p = engine.probabilities(sample.image, domain.name)
        counts[sample.stem] = count_image(p, mask, classes=classes, ignore=domain.ignore, name=sample.stem)
        turn.progress((share.place + (done + 1) / len(samples)) / share.of, domain=domain.name)
    return counts


def _stored(turn: Turn, version: ModelVersion, judged: JudgedSet, counts: dict[str, ImageCounts]) -> Evaluation:
    row = Evaluation(
        model_id=version.id,
        snapshot_id=judged.snapshot,
        job_id=turn.job.id,
        engine=version.engine,
        artefact_sha256=artefact_of(version),
        summary=summarise(list(counts.values())).to_json(),
    )
    with writing(turn.app.database) as session:
        heartbeat(session, turn.attempt)  # only the attempt that has the job may write
        session.add(row)
        session.flush()
        session.add_all(
            EvaluationImage(
                evaluation_id=row.id,
                position=entry.position,
                image_id=entry.image_id,
                counts=counts[entry.stem].to_json(),
            )
            for entry in entries(session, judged.snapshot)
            if entry.stem in counts
        )
    return row
