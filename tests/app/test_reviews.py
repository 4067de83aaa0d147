"""Reviews: an inspector's word makes a labelled image; enough of them ask for a round."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import func, select, update

from seamwise.app import live, predictions, reviews, triggers
from seamwise.app.actor import SYSTEM, Actor, ForbiddenError
from seamwise.app.annotations import annotate, read_mask_file
from seamwise.app.app import App
from seamwise.app.files import fetch_bytes
from seamwise.app.predictions import Answer, PredictionAbout, Predictor
from seamwise.app.reviews import NewReview, review_prediction
from seamwise.app.rounds import dismiss_round
from seamwise.app.snapshots import freeze
from seamwise.errors import BadInputError, NotFoundError, RefusedError
from seamwise.experiments.recipe import Recipe
from seamwise.serving import Server
from seamwise.storage.columns import utc_now
from seamwise.storage.database import reading, writing
from seamwise.storage.faults import UnavailableError
from seamwise.storage.tables import (
    Annotation,
    AuditEvent,
    Image,
    Job,
    ModelVersion,
    Origin,
    Review,
    Role,
    Round,
    RoundState,
    Side,
    SnapshotKind,
)
from seamwise.vision.images import read_mask
from tests.app.pictures import INSPECTOR, make_domain, mask
from tests.app.test_predictions import film
from tests.app.versions import add_version, serve
from tests.contract.rows import add_job
from tests.serving.tiny import CLASSES

SHAPE = (24, 24)
WRONG = NewReview(label="crack", domain="nowhere")


@pytest.fixture
def server(app: App, tmp_path: Path) -> Iterator[Server]:
    make_domain(app, "steel", CLASSES)
    serve(app, add_version(app))
    server = live.open_server(app, tmp_path / "cache")
    server.swap("welds/1")
    yield server
    server.close()


def settled(app: App, **settings: Any) -> App:
    return replace(app, settings=app.settings.model_copy(update=settings))


def predicted(app: App, server: Server, tmp_path: Path, seed: int = 0, domain: str | None = "steel") -> Answer:
    path = tmp_path / "sent"
    path.write_bytes(film(seed, shape=SHAPE))
    return Predictor(app, server).predict(INSPECTOR, path, PredictionAbout(domain=domain, weld=f"W{seed}"))[0]


def reviewed(app: App, server: Server, tmp_path: Path, count: int, first: int = 0) -> None:
    for seed in range(first, first + count):
        answer = predicted(app, server, tmp_path, seed)
        review_prediction(app, INSPECTOR, answer.id or 0, NewReview(), mask(seed, 3, SHAPE))


def rounds(app: App) -> list[Round]:
    with reading(app.database) as session:
        return list(session.scalars(select(Round).order_by(Round.id)))


def annotation_of(app: App, review: Review) -> Annotation:
    with reading(app.database) as session:
        return session.get_one(Annotation, review.annotation_id)


def test_a_drawn_mask_is_the_images_annotation(app: App, server: Server, tmp_path: Path) -> None:
    answer = predicted(app, server, tmp_path)
    review = review_prediction(app, INSPECTOR, answer.id or 0, NewReview(comment="a crack"), mask(5, 3, SHAPE))
    made = annotation_of(app, review)
    assert (made.image_id, made.origin, made.model_id, made.made_by) == (answer.image, Origin.DRAWN, None, "key/2")
    assert review.comment == "a crack"
    assert read_mask_file(app, INSPECTOR, answer.image or 0, 1) == mask(5, 3, SHAPE)
    with reading(app.database) as session:
        assert session.scalar(select(AuditEvent).where(AuditEvent.action == "prediction.review")) is not None
    review_prediction(app, INSPECTOR, answer.id or 0, NewReview(label="background"))
    (later, earlier) = reviews.list_reviews(app, INSPECTOR, answer.id or 0).items
    assert (earlier.id, annotation_of(app, later).label) == (review.id, "background")


def test_accepting_takes_the_predicted_mask_with_the_versions_name(app: App, server: Server, tmp_path: Path) -> None:
    answer = predicted(app, server, tmp_path)
    made = annotation_of(app, review_prediction(app, INSPECTOR, answer.id or 0, NewReview(accept=True)))
    assert made.origin is Origin.ACCEPTED
    assert made.model_id is not None
    same = predictions.read_mask_file(app, INSPECTOR, answer.id or 0)
    assert fetch_bytes(app, made.mask_sha256 or "") == same


def test_accepted_ids_become_the_domains(app: App, tmp_path: Path, server: Server) -> None:
    """The version's classes come in another order than the domain's."""
    make_domain(app, "pipes", ("clean", "pore", "crack"))
    version = add_version(app, "union", seed=1, rule="union", domains=("pipes",))
    server.swap("union/1")
    answer = predicted(app, server, tmp_path, domain="pipes")
    assert answer.version == f"union/{version.number}"
    review_prediction(app, INSPECTOR, answer.id or 0, NewReview(accept=True))
    said, drawn = tmp_path / "said.png", tmp_path / "drawn.png"
    said.write_bytes(predictions.read_mask_file(app, INSPECTOR, answer.id or 0))
    drawn.write_bytes(read_mask_file(app, INSPECTOR, answer.image or 0, 1))
    before, after = read_mask(said, 3), read_mask(drawn, 3)
    assert set(np.unique(before)) == {0, 1, 2}
    assert np.array_equal(np.array([0, 2, 1])[before], after)


def test_what_a_version_cannot_tell_apart_is_not_accepted(app: App, server: Server, tmp_path: Path) -> None:
    make_domain(app, "pipes", ("background", "crack", "pore", "slag"))
    add_version(app, "defects", classes=("background", "defect", "none"), rule="defect")
    server.swap("defects/1")
    answer = predicted(app, server, tmp_path, domain="pipes")
    with pytest.raises(RefusedError, match=r"shows defect.*draw the mask"):
        review_prediction(app, INSPECTOR, answer.id or 0, NewReview(accept=True))


@pytest.mark.parametrize(
    ("spec", "content"),
    [
        ({}, None),
        ({"accept": True, "label": "crack"}, None),
        ({"accept": True}, mask(0, 3, SHAPE)),
        ({"label": "crack"}, mask(0, 3, SHAPE)),
        ({"label": "weld"}, None),
        ({}, mask(0, 3, (9, 9))),
        ({}, mask(0, 4, SHAPE)),
        ({}, b"\x89PNG"),
    ],
)
def test_what_is_no_review_leaves_nothing(
    app: App, server: Server, tmp_path: Path, spec: dict[str, Any], content: bytes | None
) -> None:
    answer = predicted(app, server, tmp_path)
    keys = sorted(found.key for found in app.objects.listed())
    with pytest.raises(BadInputError):
        review_prediction(app, INSPECTOR, answer.id or 0, NewReview(**spec), content)
    with reading(app.database) as session:
        assert session.scalar(select(func.count()).select_from(Annotation)) == 0
    assert sorted(found.key for found in app.objects.listed()) == keys


def test_an_unassigned_picture_is_sorted_by_its_review(app: App, server: Server, tmp_path: Path) -> None:
    answer = predicted(app, server, tmp_path, domain=None)
    for spec in (NewReview(accept=True), NewReview(label="crack")):
        with pytest.raises(RefusedError, match="no domain"):
            review_prediction(app, INSPECTOR, answer.id or 0, spec)
    review_prediction(app, INSPECTOR, answer.id or 0, NewReview(accept=True, domain="steel"))
    with reading(app.database) as session:
        assert session.get_one(Image, answer.image).domain_id == 1


def test_a_refused_review_sorts_nothing(app: App, server: Server, tmp_path: Path) -> None:
    make_domain(app, "pipes", ("background", "slag"))
    answer = predicted(app, server, tmp_path, domain=None)
    for spec, kind in ((NewReview(label="crack", domain="pipes"), BadInputError), (WRONG, NotFoundError)):
        with pytest.raises(kind):
            review_prediction(app, INSPECTOR, answer.id or 0, spec)
    with pytest.raises(RefusedError, match="domain pipes shows"):
        review_prediction(app, INSPECTOR, answer.id or 0, NewReview(accept=True, domain="pipes"))
    with reading(app.database) as session:
        assert session.get_one(Image, answer.image).domain_id is None
        assert session.scalar(select(AuditEvent).where(AuditEvent.action == "image.assign")) is None


def test_what_cannot_be_reviewed(app: App, server: Server, tmp_path: Path) -> None:
    answer = predicted(settled(app, keep_predictions="none"), server, tmp_path)
    with pytest.raises(RefusedError, match="was not kept; upload it"):
        review_prediction(app, INSPECTOR, answer.id or 0, NewReview(accept=True))
    with pytest.raises(NotFoundError, match="prediction 99"):
        review_prediction(app, INSPECTOR, 99, NewReview(accept=True))
    with pytest.raises(ForbiddenError):
        review_prediction(app, Actor("key/1", Role.VIEWER), 1, NewReview(accept=True))


def test_so_many_reviews_propose_one_round(app: App, server: Server, tmp_path: Path) -> None:
    app = settled(app, trigger_reviews=3)
    reviewed(app, server, tmp_path, 2)
    answer = predicted(app, server, tmp_path, 1)
    review_prediction(app, INSPECTOR, answer.id or 0, NewReview(label="background"))  # a picture counts once
    assert rounds(app) == []
    reviewed(app, server, tmp_path, 3, first=2)
    (row,) = rounds(app)
    assert (row.line, row.state, row.created_by) == ("welds", RoundState.PROPOSED, "system")
    assert row.cause == {"kind": "reviews", "domain": "steel", "reviews": 3, "last_review": 4}


def test_a_dismissed_proposal_comes_again_only_for_new_reviews(app: App, server: Server, tmp_path: Path) -> None:
    app = settled(app, trigger_reviews=2)
    reviewed(app, server, tmp_path, 2)
    dismiss_round(app, SYSTEM, rounds(app)[0].id)
    reviewed(app, server, tmp_path, 1, first=2)
    assert len(rounds(app)) == 1
    reviewed(app, server, tmp_path, 1, first=3)
    assert [row.state for row in rounds(app)] == [RoundState.DISMISSED, RoundState.PROPOSED]


def waiting(app: App) -> int:
    with reading(app.database) as session:
        return sum(found.images for found in triggers.count_waiting(session, "welds").values())


def learned(app: App) -> None:
    """A finished round of all that is labelled."""
    with writing(app.database) as session:
        taken = freeze(session, kind=SnapshotKind.TRAINING, domain_ids=[1], actor="test")
        session.add(
            Round(line="welds", number=1, state=RoundState.FINISHED, cause={}, snapshot_id=taken.id, created_by="t")
        )


def test_what_a_round_has_learned_waits_no_more(app: App, server: Server, tmp_path: Path) -> None:
    app = settled(app, trigger_reviews=0)
    reviewed(app, server, tmp_path, 3)

    assert waiting(app) == 3
    learned(app)
    assert waiting(app) == 0
    reviewed(app, server, tmp_path, 1, first=3)
    assert waiting(app) == 1


def test_the_last_word_on_an_image_is_what_waits(app: App, server: Server, tmp_path: Path) -> None:
    app = settled(app, trigger_reviews=0)

    reviewed(app, server, tmp_path, 2)
    for seed in range(2):  # corrected, before a round takes up the corrections
        answer = predicted(app, server, tmp_path, seed)
        review_prediction(app, INSPECTOR, answer.id or 0, NewReview(), mask(seed + 5, 3, SHAPE))
    assert waiting(app) == 2
    learned(app)
    assert waiting(app) == 0
    annotate(app, INSPECTOR, answer.image or 0, mask(9, 3, SHAPE), None, Origin.DRAWN)  # not by a review, but news
    assert waiting(app) == 1
    review_prediction(app, INSPECTOR, answer.id or 0, NewReview(label="crack"))  # which pixels it does not tell
    assert waiting(app) == 0


def test_each_domain_waits_for_itself(app: App, server: Server, tmp_path: Path) -> None:
    make_domain(app, "pipes", CLASSES)
    app = settled(app, trigger_reviews=2)
    reviewed(app, server, tmp_path, 3)  # two of them ask for a round
    answer = predicted(app, server, tmp_path, 7, domain="pipes")
    review_prediction(app, INSPECTOR, answer.id or 0, NewReview(label="background"))
    with reading(app.database) as session:
        found = triggers.count_waiting(session, "welds")
        assert {name: (each.images, each.last) for name, each in found.items()} == {"steel": (1, 3), "pipes": (1, 4)}
        assert found["steel"].newest_round_at is not None
        assert found["pipes"].newest_round_at is None
        assert list(triggers.count_waiting(session, "welds", "pipes")) == ["pipes"]
        assert triggers.count_waiting(session, "other")["steel"].images == 3
    with writing(app.database) as session:
        session.execute(update(Image).values(deleted_at=utc_now(), object_sha256=None))
    with reading(app.database) as session:
        assert triggers.count_waiting(session, "welds") == {}


def test_without_triggers_nothing_is_counted(app: App, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triggers, "count_waiting", None)
    triggers.look_at_all(settled(app, trigger_reviews=0))


def test_hours_ask_for_a_round_when_there_is_anything_new(app: App, server: Server, tmp_path: Path) -> None:
    app = settled(app, trigger_reviews=0, trigger_hours=24.0)
    triggers.look_at_all(app)
    reviewed(app, server, tmp_path, 1)
    triggers.look_at_all(app)
    assert rounds(app) == []
    with writing(app.database) as session:
        session.execute(update(Review).values(created_at=utc_now() - timedelta(hours=25)))
    triggers.look_at_all(app)
    triggers.look_at_all(app)
    (row,) = rounds(app)
    assert row.cause == {"kind": "time", "hours": 24.0, "domain": "steel", "reviews": 1, "last_review": 1}


def test_nothing_is_asked_while_nothing_serves(app: App, server: Server, tmp_path: Path) -> None:
    reviewed(settled(app, trigger_reviews=0), server, tmp_path, 1)
    with writing(app.database) as session:
        session.execute(update(Review).values(created_at=utc_now() - timedelta(hours=25)))
    other = settled(app, trigger_reviews=1)
    with reading(other.database) as session:
        assert triggers.serving_line(session) == "welds"
    assert triggers.look(other, "nowhere") is None


def test_the_policy_starts_rounds_and_tries_again(app: App, server: Server, tmp_path: Path) -> None:
    app = settled(app, trigger_reviews=2, trigger_policy="start")
    reviewed(app, server, tmp_path, 2)
    triggers.look_at_all(app)
    (row,) = rounds(app)
    assert row.state is RoundState.PROPOSED  # the version has no state to go on from
    with writing(app.database) as session:
        version = session.get_one(ModelVersion, 1)
        version.state_sha256 = version.weights_sha256
        version.spec = version.spec | {"recipe": recipe()}
        session.execute(update(Image).values(side=Side.TRAIN))
    triggers.look_at_all(app)
    (row,) = rounds(app)
    assert row.state is RoundState.STARTED
    with reading(app.database) as session:
        job = session.get_one(Job, row.job_id)
    assert (job.kind, job.spec["mode"], job.created_by) == ("train", "online", "system")


def test_while_a_training_holds_the_line_none_is_planned(
    app: App, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planning one freezes all that is labelled, at every look, to be refused at its end."""
    add_job(app.database, line="welds")
    app = settled(app, trigger_reviews=1, trigger_policy="start")
    monkeypatch.setattr(triggers, "start_training", None)
    reviewed(app, server, tmp_path, 1)
    triggers.look_at_all(app)
    (row,) = rounds(app)
    assert row.state is RoundState.PROPOSED


def test_while_there_is_nothing_to_learn_none_is_planned(
    app: App, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drift asks for a round before anybody labelled what has changed."""
    app = settled(app, trigger_policy="start")
    with writing(app.database) as session:
        version = session.get_one(ModelVersion, 1)
        version.state_sha256 = version.weights_sha256
    monkeypatch.setattr(triggers, "start_training", None)
    assert triggers.ask(app, "welds", "steel", {"kind": "drift"}).state is RoundState.PROPOSED
    triggers.look_at_all(app)


def recipe() -> dict[str, Any]:
    options = {"width": 4, "depth": 1}
    return asdict(Recipe.of({"network": "unet", "network_options": options, "channels": 1, "tile": 32}))


def test_what_fails_after_a_review_fails_no_review(
    app: App, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise UnavailableError("away")

    monkeypatch.setattr(triggers, "look", gone)
    reviewed(app, server, tmp_path, 1)
    with reading(app.database) as session:
        assert session.scalar(select(func.count()).select_from(Review)) == 1
