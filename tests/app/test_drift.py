"""Drift: a domain is watched over its predictions, an alarm asks for a round, and learning from it ends it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import select, update

from seamwise.app import drift, guessing, newcomers
from seamwise.app.actor import SYSTEM, Actor, ForbiddenError
from seamwise.app.app import App
from seamwise.app.domains import NewDomain
from seamwise.app.drift import Calibration, calibrate_domain, get_watch, restart_watch, watch
from seamwise.app.images import delete_image
from seamwise.errors import NotFoundError, RefusedError
from seamwise.quality.drift import Monitor
from seamwise.quality.drift import calibrate as calibrate_monitor
from seamwise.quality.drift import update as take_in
from seamwise.quality.extractor import FEATURES
from seamwise.quality.guess import describe
from seamwise.storage.database import reading, writing
from seamwise.storage.object_rows import commit_object
from seamwise.storage.tables import (
    AuditEvent,
    Domain,
    DomainProposal,
    DomainReference,
    DriftMonitor,
    Image,
    ImageFeatures,
    ModelVersion,
    Prediction,
    ProposalState,
    Role,
    Round,
    RoundState,
    Source,
)
from tests.app.pictures import INSPECTOR, TRAINER, make_domain
from tests.app.versions import add_version, serve
from tests.contract.rows import at_once, stored

OFTEN = Calibration(images_between_false_alarms=200)


def rows(count: int, shift: float = 0.0, seed: int = 0) -> NDArray[np.float64]:
    """Features of images of one domain, of which the first has moved."""
    features = np.random.default_rng(seed).normal(0, 1, (count, len(FEATURES)))
    features[:, 0] += shift
    return features


def add_images(
    app: App, features: NDArray[np.float64], domain: Domain | None, prefix: str = "a", **more: Any
) -> list[int]:
    """Images that were looked at, without pixels, each of a weld of its own."""
    numbers = []
    with writing(app.database) as session:
        for number, row in enumerate(features):
            weld = f"{prefix}-{number}"
            content = stored(weld)
            commit_object(session, content)
            image = Image(
                sha256=content.sha256,
                object_sha256=content.sha256,
                domain_id=domain.id if domain else None,
                source=Source.ONLINE,
                width=1,
                height=1,
                bits=8,
                weld=weld,
                received_by="test",
                **more,
            )
            session.add(image)
            session.flush()
            session.add(ImageFeatures(image_id=image.id, features=guessing.to_json(row)))
            numbers.append(image.id)
    return numbers


def predict(app: App, features: NDArray[np.float64], domain: Domain, prefix: str = "p") -> None:
    """Predictions of images of a domain, each of a weld of its own."""
    with writing(app.database) as session:
        model = session.scalars(select(ModelVersion.id)).first()
        for number, row in enumerate(features):
            weld = f"{prefix}-{number}"
            session.add(
                Prediction(
                    input_sha256=stored(weld).sha256,
                    domain_id=domain.id,
                    model_id=model,
                    summary={"weld": weld, "features": guessing.to_json(row)},
                    created_by="test",
                )
            )


def settled(app: App, **settings: Any) -> App:
    return replace(app, settings=app.settings.model_copy(update=settings))


def events(app: App, action: str) -> int:
    with reading(app.database) as session:
        return len(session.scalars(select(AuditEvent).where(AuditEvent.action == action)).all())


@pytest.fixture
def steel(app: App) -> Domain:
    """A domain of 60 images that were looked at, in a line that serves."""
    domain = make_domain(app)
    add_images(app, rows(60), domain)
    guessing.refresh_references(app)
    serve(app, add_version(app))
    return domain


def test_a_domain_is_watched_as_soon_as_it_was_looked_at(app: App, steel: Domain) -> None:
    with pytest.raises(NotFoundError, match="no watch over it yet"):
        get_watch(app, INSPECTOR, "steel")
    watch(app)
    found = get_watch(app, INSPECTOR, "steel")
    assert (found.reference, found.calibrated_by, found.alarm) == (60, "system", None)
    assert found.evidence["threshold"] == 5000
    assert drift.list_watches(app, INSPECTOR) == [found]


def test_how_often_a_watch_may_cry_wolf_is_a_setting(app: App, steel: Domain) -> None:
    app = settled(app, drift_images_between_false_alarms=300.0)
    watch(app)
    assert get_watch(app, INSPECTOR, "steel").evidence["threshold"] == 300
    assert calibrate_domain(app, TRAINER, "steel", OFTEN).evidence["threshold"] == 200
    assert calibrate_domain(app, TRAINER, "steel", Calibration()).evidence["threshold"] == 300


def test_too_few_images_are_said_and_waited_for(app: App) -> None:
    domain = make_domain(app)
    with pytest.raises(RefusedError, match="none of its images was looked at"):
        calibrate_domain(app, TRAINER, "steel", OFTEN)
    add_images(app, rows(4), domain)
    guessing.refresh_references(app)
    with pytest.raises(RefusedError, match="too few to see any drift"):
        calibrate_domain(app, TRAINER, "steel", OFTEN)
    assert watch(app) == []
    assert drift.list_watches(app, INSPECTOR) == []


def test_the_stored_state_is_that_of_the_stream(app: App, steel: Domain) -> None:
    """What two sweeps and a restart of the process make of a stream is what one pass in memory makes."""
    calibrate_domain(app, TRAINER, "steel", OFTEN)
    stream = rows(30, seed=3)
    predict(app, stream[:13], steel, "one")
    watch(app)
    predict(app, stream[13:], steel, "two")
    watch(app)
    watch(app)
    monitor = calibrate_monitor(rows(60), [f"a-{n}" for n in range(60)], 200)
    names = [f"one-{n}" for n in range(13)] + [f"two-{n}" for n in range(17)]
    for row, weld in zip(stream, names, strict=True):
        monitor, _ = take_in(monitor, row, weld)
    with reading(app.database) as session:
        kept = session.get_one(DriftMonitor, steel.id)
        assert Monitor.from_json(kept.state).to_json() == monitor.to_json()
        assert session.scalars(select(Prediction.watched)).all() == [True] * 30
    assert get_watch(app, INSPECTOR, "steel").evidence["welds"] == 30


def test_an_alarm_begins_once_and_asks_for_a_round(app: App, steel: Domain) -> None:
    calibrate_domain(app, TRAINER, "steel", OFTEN)
    predict(app, rows(20, seed=5), steel, "same")
    assert watch(app) == []
    predict(app, rows(60, shift=3.0, seed=6), steel, "moved")
    assert watch(app) == ["steel"]
    found = get_watch(app, INSPECTOR, "steel")
    assert found.alarm is not None
    assert (found.alarm["moved"][0]["feature"], found.alarm["moved"][0]["up"]) == (FEATURES[0], True)
    assert 20 < found.alarm["prediction"] < 60
    predict(app, rows(10, shift=3.0, seed=7), steel, "more")
    assert watch(app) == []
    with reading(app.database) as session:
        (row,) = session.scalars(select(Round)).all()
        assert (row.line, row.state, row.cause["kind"]) == ("welds", RoundState.PROPOSED, "drift")
        assert row.cause["domain"] == "steel"
        alarms = session.scalars(select(AuditEvent).where(AuditEvent.action == "drift.alarm")).all()
        assert [event.subject for event in alarms] == ["domain/steel"]
    after = get_watch(app, INSPECTOR, "steel").alarm
    assert after is not None
    assert after["round"] == row.id


def test_drift_asks_for_no_round_unless_wished(app: App, steel: Domain) -> None:
    quiet = settled(app, trigger_drift=False)
    calibrate_domain(app, TRAINER, "steel", OFTEN)
    predict(app, rows(60, shift=3.0), steel)
    assert watch(quiet) == ["steel"]
    with reading(app.database) as session:
        assert session.scalars(select(Round)).all() == []


def test_an_alarm_whose_process_ended_asks_later(app: App, steel: Domain, monkeypatch: pytest.MonkeyPatch) -> None:
    calibrate_domain(app, TRAINER, "steel", OFTEN)
    predict(app, rows(60, shift=3.0), steel)

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(drift, "propose", killed)
        with pytest.raises(KeyboardInterrupt):
            watch(app)
    assert watch(app) == []
    watch(app)
    with reading(app.database) as session:
        (row,) = session.scalars(select(Round)).all()
        assert session.get_one(DriftMonitor, steel.id).alarm["round"] == row.id
    assert events(app, "drift.alarm") == 1


def test_an_alarm_asks_once_something_serves(app: App) -> None:
    domain = make_domain(app)
    add_images(app, rows(60), domain)
    guessing.refresh_references(app)
    version = add_version(app)
    calibrate_domain(app, TRAINER, "steel", OFTEN)
    predict(app, rows(60, shift=3.0), domain)
    assert watch(app) == ["steel"]
    serve(app, version)
    assert watch(app) == []
    with reading(app.database) as session:
        assert session.scalars(select(Round.line)).all() == ["welds"]


def test_an_alarm_keeps_its_round_when_a_sweep_was_on_its_way(
    app: App, steel: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    calibrate_domain(app, TRAINER, "steel", OFTEN)
    predict(app, rows(60, shift=3.0), steel)
    watch(settled(app, trigger_drift=False))
    predict(app, rows(3, shift=3.0, seed=4), steel, "more")
    taken_in = drift._taken_in

    def late(*args: Any) -> Any:
        drift._ask_for_rounds(app)
        return taken_in(*args)

    monkeypatch.setattr(drift, "_taken_in", late)
    watch(app)
    monkeypatch.undo()
    watch(app)
    found = get_watch(app, INSPECTOR, "steel")
    assert found.alarm is not None
    assert found.alarm["round"] == 1
    assert found.evidence["images"] == 63


def test_a_picture_is_one_image_however_often_it_comes(app: App, steel: Domain) -> None:
    """A probe that sends the same pictures for ever is no drift."""
    calibrate_domain(app, TRAINER, "steel", OFTEN)
    for _ in range(5):
        predict(app, rows(60, seed=3), steel, "same")
        assert watch(app) == []
    assert get_watch(app, INSPECTOR, "steel").evidence["images"] == 60


def alarmed_and_learned(app: App, steel: Domain) -> ModelVersion:
    """A watch with an alarm, and the version that its round made, which does not serve yet."""
    calibrate_domain(app, TRAINER, "steel", OFTEN)
    predict(app, rows(60, shift=3.0), steel)
    watch(app)
    version = add_version(app)
    with writing(app.database) as session:
        session.execute(update(Round).values(state=RoundState.FINISHED, model_id=version.id))
    return version


def test_a_promotion_of_what_learned_from_the_drift_ends_the_alarm(app: App, steel: Domain) -> None:
    version = alarmed_and_learned(app, steel)
    watch(app)
    assert get_watch(app, INSPECTOR, "steel").alarm is not None  # it does not serve yet
    serve(app, version)
    watch(app)
    found = get_watch(app, INSPECTOR, "steel")
    assert (found.alarm, found.evidence["welds"], found.reference) == (None, 0, 120)


def test_an_alarm_that_a_person_ended_is_not_ended_again(
    app: App, steel: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = alarmed_and_learned(app, steel)
    serve(app, version)
    ancestry = drift.ancestry

    def late(*args: Any) -> Any:
        restart_watch(app, TRAINER, "steel")
        return ancestry(*args)

    monkeypatch.setattr(drift, "ancestry", late)
    watch(app)
    assert events(app, "drift.restart") == 1


def test_an_alarm_that_was_looked_at_is_restarted_by_hand(app: App, steel: Domain) -> None:
    calibrate_domain(app, TRAINER, "steel", OFTEN)
    predict(app, rows(60, shift=3.0), steel)
    watch(app)
    with pytest.raises(ForbiddenError):
        restart_watch(app, INSPECTOR, "steel")
    assert restart_watch(app, TRAINER, "steel").alarm is None
    with pytest.raises(ForbiddenError):
        calibrate_domain(app, INSPECTOR, "steel", OFTEN)


def test_calibrating_anew_counts_what_came_before_as_reference(app: App, steel: Domain) -> None:
    predict(app, rows(60, shift=5.0), steel)
    calibrate_domain(app, TRAINER, "steel", OFTEN)
    assert watch(app) == []
    assert get_watch(app, INSPECTOR, "steel").evidence["images"] == 0


def test_a_watch_that_a_person_began_meanwhile_stays(app: App, steel: Domain, monkeypatch: pytest.MonkeyPatch) -> None:
    def late(*args: Any) -> Any:
        monkeypatch.setattr(drift, "calibrate", calibrate_monitor)
        calibrate_domain(app, TRAINER, "steel", OFTEN)
        return calibrate_monitor(*args)

    monkeypatch.setattr(drift, "calibrate", late)
    watch(app)
    found = get_watch(app, INSPECTOR, "steel")
    assert (found.calibrated_by, found.evidence["threshold"]) == (TRAINER.name, 200)
    assert events(app, "drift.calibrate") == 1


def test_what_came_during_a_calibration_is_watched(app: App, steel: Domain, monkeypatch: pytest.MonkeyPatch) -> None:
    def late(*args: Any) -> Any:
        predict(app, rows(7, seed=8), steel, "late")
        return calibrate_monitor(*args)

    predict(app, rows(5, seed=9), steel, "early")
    monkeypatch.setattr(drift, "calibrate", late)
    calibrate_domain(app, TRAINER, "steel", OFTEN)
    watch(app)
    assert get_watch(app, INSPECTOR, "steel").evidence["images"] == 7


def test_images_too_few_for_a_watch_are_not_read_again_at_each_look(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    add_images(app, rows(4), make_domain(app))
    guessing.refresh_references(app)
    monkeypatch.setattr(drift, "read_features", None)
    assert watch(app) == []


def test_of_two_processes_that_watch_one_counts_each_prediction(
    app: App, steel: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    calibrate_domain(app, TRAINER, "steel", OFTEN)
    predict(app, rows(40, seed=9), steel)
    taken_in = drift._taken_in

    def late(*args: Any) -> Any:
        """Another process does the same while this one computes."""
        monkeypatch.setattr(drift, "_taken_in", taken_in)
        watch(app)
        predict(app, rows(1, seed=10), steel, "later")
        return taken_in(*args)

    monkeypatch.setattr(drift, "_taken_in", late)
    watch(app)
    assert get_watch(app, INSPECTOR, "steel").evidence["images"] == 40
    results = at_once(4, lambda _: watch(app))
    assert [result for result in results if isinstance(result, Exception)] == []
    watch(app)
    assert get_watch(app, INSPECTOR, "steel").evidence["images"] == 41


def test_references_are_made_again_when_a_domain_has_grown(app: App, steel: Domain) -> None:
    assert guessing.refresh_references(app) == []
    add_images(app, rows(10, seed=1), steel, "b")
    assert guessing.refresh_references(app) == []
    add_images(app, rows(5, seed=2), steel, "c")
    assert guessing.refresh_references(app) == ["steel"]
    with reading(app.database) as session:
        row = session.get_one(DomainReference, steel.id)
        features, welds = guessing.read_features(session, steel.id)
    assert row.images == 75
    assert len(set(welds)) == 75
    assert row.state == describe("steel", features, welds).to_json()


def test_a_domain_that_lost_its_images_is_described_by_those_left_or_forgotten(app: App, steel: Domain) -> None:
    watch(app)
    with reading(app.database) as session:
        numbers = session.scalars(select(Image.id).order_by(Image.id)).all()
    for number in numbers[:9]:
        delete_image(app, SYSTEM, number)
    assert guessing.refresh_references(app) == []
    for number in numbers[9:30]:
        delete_image(app, SYSTEM, number)
    assert guessing.refresh_references(app) == ["steel"]
    with reading(app.database) as session:
        row = session.get_one(DomainReference, steel.id)
    assert (row.images, row.state["welds"]) == (30, 30)
    with writing(app.database) as session:  # the others belong elsewhere
        session.execute(update(Image).where(Image.deleted_at.is_(None)).values(domain_id=None))
    assert guessing.refresh_references(app) == []
    with reading(app.database) as session:
        assert guessing.read_atlas(session).references == ()
    predict(app, rows(3), steel)
    watch(app)  # its predictions are still told apart
    assert get_watch(app, INSPECTOR, "steel").evidence["images"] == 3


# New domains


def strangers(app: App, count: int, seed: int = 20, prefix: str = "s", at: float = 8.0) -> list[int]:
    features = np.random.default_rng(seed).normal(at, 0.8, (count, len(FEATURES)))
    said = {"domain": {"name": "steel", "confidence": 1.0, "unlike_all": True}}
    return add_images(app, features, None, prefix, guessed=said)


def proposals(app: App) -> Sequence[DomainProposal]:
    return newcomers.list_proposals(app, INSPECTOR).items


def test_enough_strangers_that_are_alike_are_proposed_as_a_domain(app: App, steel: Domain) -> None:
    first = strangers(app, newcomers.LEAST_WELDS - 1)
    assert newcomers.notice(app) is None
    first += strangers(app, 1, 21, "t")
    row = newcomers.notice(app)
    assert row is not None
    assert row.figures["images"] == sorted(first)
    assert row.figures["nearest"]["domain"] == "steel"
    assert row.figures["nearest"]["distance"] > 3
    assert newcomers.notice(app) is None  # nothing new
    more = strangers(app, 2, 22, "u")
    newcomers.notice(app)
    (same,) = proposals(app)
    assert same.figures["images"] == sorted(first + more)


def test_strangers_that_are_not_alike_are_not_proposed(app: App, steel: Domain) -> None:
    for number in range(12):
        strangers(app, 1, number, f"v{number}", at=8.0 + 6 * number)
    assert newcomers.notice(app) is None


def test_many_pictures_of_one_weld_are_one_stranger(app: App, steel: Domain) -> None:
    numbers = strangers(app, 20)
    with writing(app.database) as session:
        session.execute(update(Image).where(Image.id.in_(numbers)).values(weld="one"))
    assert newcomers.notice(app) is None


def test_those_that_are_like_a_domain_by_now_are_not_new(app: App, steel: Domain) -> None:
    said = {"domain": {"name": None, "confidence": 0.0, "unlike_all": False}}
    add_images(app, rows(20, seed=30), None, "early", guessed=said)
    assert newcomers.notice(app) is None


def test_those_that_are_like_a_domain_by_now_hide_no_others(app: App, steel: Domain) -> None:
    said = {"domain": {"name": None, "confidence": 0.0, "unlike_all": False}}
    add_images(app, rows(20, seed=30), None, "early", guessed=said)
    new = strangers(app, 10)
    row = newcomers.notice(app)
    assert row is not None
    assert row.figures["images"] == new


def test_many_pictures_of_one_weld_hide_no_others(app: App, steel: Domain) -> None:
    numbers = strangers(app, 20, at=30.0)
    with writing(app.database) as session:
        session.execute(update(Image).where(Image.id.in_(numbers)).values(weld="one"))
    new = strangers(app, 10, prefix="t")
    row = newcomers.notice(app)
    assert row is not None
    assert row.figures["images"] == new


def test_a_proposal_that_nobody_answers_holds_no_other_up(app: App, steel: Domain) -> None:
    first, second = strangers(app, 12), strangers(app, 9, 23, "far", at=20.0)
    for _ in range(3):
        newcomers.notice(app)
    assert [row.figures["images"] for row in proposals(app)] == [second, first]


def test_the_fringe_of_a_group_is_not_another_domain(app: App, steel: Domain) -> None:
    strangers(app, 12)
    strangers(app, 9, 23, "near", at=10.8)
    for _ in range(3):
        newcomers.notice(app)
    assert len(proposals(app)) == 1


def test_accepting_makes_the_domain_and_sorts_its_images(app: App, steel: Domain) -> None:
    numbers = strangers(app, 10)
    row = newcomers.notice(app)
    assert row is not None
    with writing(app.database) as session:  # one was sorted by hand meanwhile
        session.get_one(Image, numbers[0]).domain_id = steel.id
    spec = NewDomain(name="pipes", modality="radiography", classes=["background", "crack"])
    with pytest.raises(ForbiddenError):
        newcomers.accept_proposal(app, INSPECTOR, row.id, spec)
    done = newcomers.accept_proposal(app, TRAINER, row.id, spec)
    assert (done.state, done.closed_by) == (ProposalState.ACCEPTED, "key/3")
    with reading(app.database) as session:
        sorted_into = session.scalars(select(Image.domain_id).where(Image.id.in_(numbers)).order_by(Image.id)).all()
        assert sorted_into == [steel.id] + [done.domain_id] * 9
    for action in (newcomers.dismiss_proposal, lambda *args: newcomers.accept_proposal(*args, spec)):
        with pytest.raises(RefusedError, match="accepted already"):
            action(app, TRAINER, row.id)
    with pytest.raises(NotFoundError):
        newcomers.get_proposal(app, INSPECTOR, 99)


def test_an_acceptance_that_broke_off_goes_on(app: App, steel: Domain, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = strangers(app, 10)
    row = newcomers.notice(app)
    assert row is not None
    record = newcomers.record

    def breaks_off(*told: Any) -> None:
        if f"image/{numbers[5]}" in told:
            raise KeyboardInterrupt
        record(*told)

    spec = NewDomain(name="pipes", modality="radiography", classes=["background", "crack"])
    monkeypatch.setattr(newcomers, "record", breaks_off)
    monkeypatch.setattr(newcomers, "AT_ONCE", 2)
    with pytest.raises(KeyboardInterrupt):
        newcomers.accept_proposal(app, TRAINER, row.id, spec)
    monkeypatch.undo()
    with reading(app.database) as session:
        assert session.scalars(select(Image.id).where(Image.domain_id == 2).order_by(Image.id)).all() == numbers[:4]
    for other in ({"name": "steel", "modality": "x"}, {"ignore": 255}):
        with pytest.raises(RefusedError, match="there is one of this name"):
            newcomers.accept_proposal(app, TRAINER, row.id, spec.model_copy(update=other))
    done = newcomers.accept_proposal(app, TRAINER, row.id, spec)
    with reading(app.database) as session:
        found = session.scalars(select(Image.domain_id).where(Image.id.in_(numbers))).all()
    assert found == [done.domain_id] * 10
    assert events(app, "image.assign") == 10


def test_what_was_dismissed_during_an_acceptance_stays_so(
    app: App, steel: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    strangers(app, 10)
    row = newcomers.notice(app)
    assert row is not None
    create = newcomers.create_domain

    def late(*args: Any) -> Domain:
        newcomers.dismiss_proposal(app, TRAINER, row.id)
        return create(*args)

    monkeypatch.setattr(newcomers, "create_domain", late)
    spec = NewDomain(name="pipes", modality="radiography", classes=["background", "crack"])
    with pytest.raises(RefusedError, match="dismissed already"):
        newcomers.accept_proposal(app, TRAINER, row.id, spec)
    with reading(app.database) as session:
        assert session.scalars(select(Image.id).where(Image.domain_id == 2)).all() == []


def test_what_was_dismissed_is_proposed_no_more(app: App, steel: Domain) -> None:
    strangers(app, 10)
    row = newcomers.notice(app)
    assert row is not None
    newcomers.dismiss_proposal(app, TRAINER, row.id)
    assert newcomers.notice(app) is None
    strangers(app, 9, 40, "w")
    assert newcomers.notice(app) is not None


def test_who_may_look(app: App, steel: Domain) -> None:
    viewer = Actor("key/1", Role.VIEWER)
    assert drift.list_watches(app, viewer) == []
    assert newcomers.list_proposals(app, viewer).items == ()
