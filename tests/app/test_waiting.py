"""Images that wait for a domain: sorted again once a domain is described anew, and never against a person's word."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import select, update

from seamwise.app import guessing, newcomers, waiting
from seamwise.app.actor import SYSTEM
from seamwise.app.app import App
from seamwise.app.domains import NewDomain
from seamwise.app.images import delete_image
from seamwise.app.splits import side_of
from seamwise.app.waiting import sort_again
from seamwise.quality.extractor import FEATURES
from seamwise.storage.columns import utc_now
from seamwise.storage.database import reading, writing
from seamwise.storage.tables import AuditEvent, Domain, DomainReference, Image
from tests.app.pictures import TRAINER, make_domain
from tests.app.test_drift import add_images, rows
from tests.contract.rows import at_once

UNLIKE = {"domain": {"name": "steel", "confidence": 0.7, "unlike_all": True}}


def like(count: int, seed: int, at: float = 8.0, scatter: float = 0.8) -> NDArray[np.float64]:
    """Features of a kind of images that no domain shows yet."""
    return np.random.default_rng(seed).normal(at, scatter, (count, len(FEATURES)))


def strangers(app: App, count: int = 5, prefix: str = "s", guessed: dict[str, Any] | None = UNLIKE) -> list[int]:
    """Typical ones of that kind."""
    return add_images(app, like(count, 1, scatter=0.4), None, prefix, guessed=guessed)


def pipes(app: App, images: int = 20) -> Domain:
    """A new domain of that kind, which was described."""
    domain = make_domain(app, "pipes", pitch_mm=0.2)
    add_images(app, like(images, 2), domain, "pipes")
    guessing.refresh_references(app)
    return domain


def domain_of(app: App, numbers: list[int]) -> list[int | None]:
    with reading(app.database) as session:
        found = session.execute(select(Image.id, Image.domain_id).where(Image.id.in_(numbers))).all()
    by_number = dict(found)
    return [by_number[number] for number in numbers]


def sorts(app: App) -> list[AuditEvent]:
    with reading(app.database) as session:
        return list(session.scalars(select(AuditEvent).where(AuditEvent.action == "image.sort")))


@pytest.fixture
def steel(app: App) -> Domain:
    domain = make_domain(app)
    add_images(app, rows(60), domain)
    guessing.refresh_references(app)
    assert sort_again(app) == 0
    return domain


def test_what_a_new_domain_shows_moves_there_and_is_marked_as_guessed(app: App, steel: Domain) -> None:
    numbers = strangers(app)
    assert sort_again(app) == 0
    domain = pipes(app)
    assert sort_again(app) == 5
    assert domain_of(app, numbers) == [domain.id] * 5
    with reading(app.database) as session:
        image = session.get_one(Image, numbers[0])
    assert image.guessed == {
        "domain": {"name": "pipes", "confidence": 1.0, "unlike_all": False},
        "modality": {"name": "radiography", "confidence": 1.0},
    }
    assert (image.modality, image.pitch_mm, image.side) == ("radiography", 0.2, side_of("pipes", "s-0"))
    events = sorts(app)
    assert [event.subject for event in events] == [f"image/{number}" for number in numbers]
    assert (events[0].actor, events[0].details) == ("system", {"domain": "pipes", "confidence": 1.0})


def test_what_is_still_unsure_waits_on(app: App, steel: Domain) -> None:
    between = add_images(app, np.full((1, len(FEATURES)), 4.0), None, "between", guessed=UNLIKE)
    far = add_images(app, like(3, 3, at=-20.0), None, "far", guessed=UNLIKE)
    other = add_images(app, like(1, 4), None, "other", guessed=UNLIKE, modality="phased array")
    pipes(app)
    assert sort_again(app) == 0
    assert domain_of(app, between + far + other) == [None] * 5


def test_the_least_confidence_is_the_settings(app: App, steel: Domain) -> None:
    """Two domains of one kind: half of a confidence each."""
    strangers(app)
    pipes(app)
    twin = make_domain(app, "twin")
    add_images(app, like(20, 2), twin, "twin")
    guessing.refresh_references(app)
    assert sort_again(app) == 0
    easy = replace(app, settings=app.settings.model_copy(update={"guess_confidence": 0.4}))
    add_images(app, like(20, 5), twin, "more")  # described anew
    guessing.refresh_references(app)
    assert sort_again(easy) == 5


def test_a_person_s_word_stands(app: App, steel: Domain) -> None:
    """Deleted images, those of a dismissed proposal, and those that somebody sent without any domain."""
    numbers = strangers(app, 10)
    row = newcomers.notice(app)
    assert row is not None
    newcomers.dismiss_proposal(app, TRAINER, row.id)
    sent = strangers(app, 3, "sent", guessed=None)
    gone = strangers(app, 1, "gone")
    delete_image(app, SYSTEM, gone[0])
    mine = strangers(app, 1, "mine")
    with writing(app.database) as session:
        session.get_one(Image, mine[0]).domain_id = steel.id
    pipes(app)
    assert sort_again(app) == 0
    assert domain_of(app, numbers + sent + gone + mine) == [None] * 14 + [steel.id]


def test_an_accepted_newcomer_takes_in_those_that_came_later(app: App, steel: Domain) -> None:
    strangers(app, 10)
    row = newcomers.notice(app)
    assert row is not None
    later = strangers(app, 4, "later")
    spec = NewDomain(name="pipes", modality="radiography", classes=["background", "crack"])
    done = newcomers.accept_proposal(app, TRAINER, row.id, spec)
    assert sort_again(app) == 0  # nothing is known of it yet
    guessing.refresh_references(app)
    assert sort_again(app) == 4
    assert domain_of(app, later) == [done.domain_id] * 4


def test_a_weld_stays_on_one_side(app: App, steel: Domain) -> None:
    numbers = strangers(app, 6)
    domain = pipes(app)
    with writing(app.database) as session:
        first = session.scalars(select(Image).where(Image.domain_id == domain.id).order_by(Image.id)).first()
        assert first is not None
        first.side = next(side for side in type(side_of("a", "b")) if side is not side_of("pipes", "one"))
        first.weld, side = "one", first.side
        session.execute(update(Image).where(Image.id.in_(numbers)).values(weld="one"))
    sort_again(app)
    with reading(app.database) as session:
        assert set(session.scalars(select(Image.side).where(Image.id.in_(numbers)))) == {side}


def test_a_pass_that_broke_off_is_done_again(app: App, steel: Domain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "AT_ONCE", 3)
    numbers = strangers(app, 8)
    domain = pipes(app)
    record = waiting.record

    def breaks_off(*told: Any) -> None:
        if f"image/{numbers[4]}" in told:
            raise KeyboardInterrupt
        record(*told)

    monkeypatch.setattr(waiting, "record", breaks_off)
    with pytest.raises(KeyboardInterrupt):
        sort_again(app)
    assert domain_of(app, numbers) == [domain.id] * 3 + [None] * 5  # whole batches alone
    assert len(sorts(app)) == 3
    monkeypatch.setattr(waiting, "record", record)
    assert sort_again(app) == 5
    assert len(sorts(app)) == 8


def test_each_reference_is_compared_at_once_and_when_none_before_is_remembered(app: App, steel: Domain) -> None:
    pipes(app)
    assert sort_again(app) == 0
    strangers(app)  # sorted by what another process remembers
    assert sort_again(app) == 0
    age(app)
    assert sort_again(app) == 5
    strangers(app, 5, "later")
    assert sort_again(app) == 0
    add_images(app, like(10, 5), pipes_of(app), "grown")
    guessing.refresh_references(app)
    assert sort_again(app) == 5


def age(app: App) -> None:
    with writing(app.database) as session:
        session.execute(update(DomainReference).values(made_at=utc_now() - timedelta(minutes=2)))


def pipes_of(app: App) -> Domain:
    with reading(app.database) as session:
        return session.scalars(select(Domain).where(Domain.name == "pipes")).one()


def test_a_domain_that_grows_meanwhile_is_compared_again(
    app: App, steel: Domain, monkeypatch: pytest.MonkeyPatch
) -> None:
    domain = pipes(app)

    def described_anew(*_: Any) -> dict[int, Any]:
        add_images(app, like(10, 5), domain, "grown")
        guessing.refresh_references(app)
        return {}

    strangers(app, 1)
    with monkeypatch.context() as patch:
        patch.setattr(waiting, "_sorted", described_anew)
        assert sort_again(app) == 0
    assert sort_again(app) == 1


def test_of_many_processes_one_moves_each_image(app: App, steel: Domain) -> None:
    numbers = strangers(app, 12)
    domain = pipes(app)
    assert sum(at_once(4, lambda _: sort_again(app))) == 12
    assert domain_of(app, numbers) == [domain.id] * 12
    assert len(sorts(app)) == 12


def test_nothing_waits_and_nothing_is_known(app: App) -> None:
    assert sort_again(app) == 0
    strangers(app, 2)
    assert sort_again(app) == 0
