"""Promotion: the gate decides from stored counts, on what was true when it judged; and it is history either way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select

from seamwise.app import aliases, evaluations, promotion
from seamwise.app.actor import SYSTEM, Actor, ForbiddenError
from seamwise.app.aliases import PRODUCTION, NamedVersion, Rollback
from seamwise.app.app import App
from seamwise.app.images import delete_image
from seamwise.app.models import name_of
from seamwise.app.promotion import Promotion, judge_version, promote
from seamwise.app.qualification import freeze_set
from seamwise.errors import NotFoundError, RefusedError, UsageError
from seamwise.settings import Settings
from seamwise.storage.database import reading, writing
from seamwise.storage.tables import Alias, AliasAction, AliasHistory, AuditEvent, ModelVersion, Role, SnapshotItem
from tests.app.pictures import TRAINER
from tests.app.versions import add_version, evaluate, judged_domain, two_class
from tests.contract.rows import at_once
from tests.serving.tiny import CLASSES

ADMIN = Actor("key/9", Role.ADMIN)


def wish(version: ModelVersion, **more: Any) -> Promotion:
    return Promotion(version=name_of(version), reason="it is better", **more)


def history(app: App) -> list[tuple[str, str | None, str, int | None]]:
    steps = aliases.read_history(app, TRAINER, PRODUCTION).items
    return [(step.action.value, step.before, step.after, step.sequence) for step in reversed(steps)]


@pytest.fixture
def first(app: App) -> ModelVersion:
    """A version that serves, on a domain whose set it was counted on."""
    judged = judged_domain(app)
    version = two_class(app)
    evaluate(app, version, judged, 0.8)
    promote(app, TRAINER, PRODUCTION, wish(version))
    return version


def judged(app: App) -> Any:
    with reading(app.database) as session:
        return promotion.current_sets(session)[0]


def test_a_first_version_must_reach_the_minimums(app: App) -> None:
    place = judged_domain(app)
    poor, good = two_class(app), two_class(app)
    evaluate(app, poor, place, 0.1)
    evaluate(app, good, place, 0.8)
    with pytest.raises(RefusedError, match=r"version welds/1 does not pass the gate \(fail\): .*IoU on steel"):
        promote(app, TRAINER, PRODUCTION, wish(poor))
    named = promote(app, TRAINER, PRODUCTION, wish(good))
    assert (named.version, named.sequence) == ("welds/2", 1)
    assert history(app) == [("refused", None, "welds/1", None), ("promoted", None, "welds/2", 1)]


def test_a_worse_version_is_refused_with_the_figures_and_leaves_the_alias(app: App, first: ModelVersion) -> None:
    worse = two_class(app)
    evaluate(app, worse, judged(app), 0.5)
    with pytest.raises(RefusedError, match=r"defect IoU on steel: 0\.\d+, production \(welds/1\) 0\.\d+"):
        promote(app, TRAINER, PRODUCTION, wish(worse))
    assert aliases.get_alias(app, TRAINER, PRODUCTION).version == "welds/1"
    assert history(app)[-1] == ("refused", "welds/1", "welds/2", None)
    verdict = aliases.read_history(app, TRAINER, PRODUCTION).items[0].verdict
    assert verdict is not None
    assert (verdict["verdict"], verdict["alias_sequence"]) == ("fail", 1)
    with reading(app.database) as session:
        assert session.get_one(ModelVersion, worse.id).verdict == verdict
        assert session.scalars(select(AuditEvent.action).order_by(AuditEvent.id.desc())).first() == "alias.refuse"


def test_a_version_that_was_not_evaluated_is_undecided(app: App, first: ModelVersion) -> None:
    with pytest.raises(RefusedError, match=r"undecided\): welds/2 was not evaluated on steel"):
        promote(app, TRAINER, PRODUCTION, wish(two_class(app)))


def test_margins_are_not_lost_round_by_round(app: App, first: ModelVersion) -> None:
    """Each loses less than is allowed against the one before, but in the end too much against the best."""
    refusals = []
    for quality in (0.775, 0.75, 0.72, 0.69):
        version = two_class(app)
        evaluate(app, version, judged(app), quality)
        try:
            promote(app, TRAINER, PRODUCTION, wish(version))
        except RefusedError as error:
            refusals.append(str(error))
    assert 1 <= len(refusals) < 4
    assert all("the best accepted (welds/1)" in told for told in refusals)


def test_force_takes_an_admin_and_says_so(app: App, first: ModelVersion) -> None:
    worse = two_class(app)
    evaluate(app, worse, judged(app), 0.5)
    with pytest.raises(ForbiddenError, match="admin"):
        promote(app, TRAINER, PRODUCTION, wish(worse, force=True))
    assert promote(app, ADMIN, PRODUCTION, wish(worse, force=True)).version == "welds/2"
    assert history(app)[-1] == ("forced", "welds/1", "welds/2", 2)
    step = aliases.read_history(app, TRAINER, PRODUCTION).items[0]
    assert (step.actor, step.reason) == ("key/9", "it is better")
    assert step.verdict is not None


def test_promoting_what_serves_changes_nothing(app: App, first: ModelVersion) -> None:
    before = history(app)
    assert promote(app, TRAINER, PRODUCTION, wish(first)).sequence == 1
    assert history(app) == before


def test_rollback_goes_back_step_by_step(app: App, first: ModelVersion) -> None:
    for _ in range(2):
        version = two_class(app)
        evaluate(app, version, judged(app), 0.8)
        promote(app, TRAINER, PRODUCTION, wish(version))
    why = Rollback(reason="it sees cracks everywhere")
    assert aliases.rollback(app, TRAINER, PRODUCTION, why).version == "welds/2"
    assert aliases.rollback(app, TRAINER, PRODUCTION, why).version == "welds/1"
    with pytest.raises(RefusedError, match="no version served before"):
        aliases.rollback(app, TRAINER, PRODUCTION, why)
    assert history(app)[-2:] == [("rolled back", "welds/3", "welds/2", 4), ("rolled back", "welds/2", "welds/1", 5)]
    assert aliases.get_alias(app, TRAINER, PRODUCTION).sequence == 5
    with pytest.raises(NotFoundError, match="promote a version"):
        aliases.rollback(app, TRAINER, "other", why)


def test_a_version_rolled_back_from_is_no_reference(app: App, first: ModelVersion) -> None:
    """It was too good to be true: later candidates need not reach it."""
    place = judged(app)
    better, next_one = two_class(app), two_class(app)
    evaluate(app, better, place, 0.95)
    evaluate(app, next_one, place, 0.8)
    promote(app, TRAINER, PRODUCTION, wish(better))
    assert judge_version(app, next_one.id)["verdict"] == "fail"
    aliases.rollback(app, TRAINER, PRODUCTION, Rollback(reason="its figures were wrong"))
    assert judge_version(app, next_one.id)["verdict"] == "pass"


def test_of_two_promotions_at_once_one_wins(app: App, first: ModelVersion) -> None:
    versions = [two_class(app) for _ in range(4)]
    for version in versions:
        evaluate(app, version, judged(app), 0.8)
    results = at_once(4, lambda n: promote(app, TRAINER, PRODUCTION, wish(versions[n])))
    moved = [result for result in results if isinstance(result, aliases.NamedVersion)]
    assert moved
    steps = [step for step in history(app) if step[3] is not None]
    assert [step[3] for step in steps] == list(range(1, len(moved) + 2))  # each rests on the one before
    assert [step[1] for step in steps[1:]] == [step[2] for step in steps[:-1]]
    assert all("changed meanwhile" in str(result) for result in results if result not in moved)


def test_a_decision_on_an_older_alias_is_refused_and_leaves_nothing(app: App, first: ModelVersion) -> None:
    other = two_class(app)
    stale = aliases.Change(PRODUCTION, 0, AliasAction.PROMOTED, None, other.id, "late")
    before = history(app)
    for change in (stale, replace(stale, sequence=7)):
        with pytest.raises(RefusedError, match="changed meanwhile"), writing(app.database) as session:
            aliases.apply(session, SYSTEM, change)
    assert history(app) == before


def test_a_stored_verdict_holds_until_the_alias_or_a_set_changes(
    app: App, first: ModelVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = two_class(app)
    evaluate(app, version, judged(app), 0.8)
    verdict = judge_version(app, version.id)
    with writing(app.database) as session:
        session.get_one(ModelVersion, version.id).verdict = verdict
    made = []
    judge = promotion.judge
    monkeypatch.setattr(promotion, "judge", lambda *args: made.append(args) or judge(*args))

    def current(settings: Settings = app.settings) -> dict[str, Any]:
        with reading(app.database) as session:
            return promotion.current_verdict(session, settings, session.get_one(ModelVersion, version.id), PRODUCTION)

    assert current() == verdict
    assert not made
    current(app.settings.model_copy(update={"gate": {"defect_iou_loss": 0.04}}))
    assert len(made) == 1
    freeze_set(app, SYSTEM, "steel", "more welds")
    assert current()["verdict"] == "undecided"  # the new set is a new snapshot, on which nothing was evaluated
    assert len(made) == 2


def test_a_set_frozen_while_promoting_refuses(app: App, first: ModelVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    version = two_class(app)
    evaluate(app, version, judged(app), 0.8)
    current = promotion.current_verdict

    def meanwhile(*args: Any) -> dict[str, Any]:
        verdict = current(*args)
        freeze_set(app, SYSTEM, "steel", "more welds")
        return verdict

    monkeypatch.setattr(promotion, "current_verdict", meanwhile)
    with pytest.raises(RefusedError, match="frozen meanwhile"):
        promote(app, TRAINER, PRODUCTION, wish(version))
    assert aliases.get_alias(app, TRAINER, PRODUCTION).version == "welds/1"


def test_deleted_images_count_for_no_version(app: App, first: ModelVersion) -> None:
    version = two_class(app)
    evaluate(app, version, judged(app), 0.8)
    with reading(app.database) as session:
        numbers = list(session.scalars(select(SnapshotItem.image_id).limit(3)))
    for number in numbers:
        delete_image(app, ADMIN, number)
    verdict = judge_version(app, version.id)
    assert verdict["verdict"] == "pass"
    assert {check["images"] for check in verdict["checks"]} == {97}


def test_only_what_serves_is_judged(app: App, first: ModelVersion) -> None:
    """Counts of other bytes than those that serve say nothing."""
    version = two_class(app)
    evaluate(app, version, judged(app), 0.8)
    with writing(app.database) as session:
        row = session.get_one(ModelVersion, version.id)
        row.exported_sha256 = row.serving_sha256
    assert evaluations.artefact_of(row) != row.weights_sha256
    assert judge_version(app, version.id)["verdict"] == "undecided"


def test_a_domain_nobody_learned_is_no_reason(app: App, first: ModelVersion) -> None:
    version = two_class(app)
    evaluate(app, version, judged(app), 0.8)
    judged_domain(app, "pipes")
    assert judge_version(app, version.id)["verdict"] == "pass"


def test_on_a_new_domain_the_minimums_decide(app: App, first: ModelVersion) -> None:
    """What serves never learned it: it is no reference there, and need not be evaluated."""
    place, pipes = judged(app), judged_domain(app, "pipes")
    verdicts = []
    for quality in (0.8, 0.1):
        version = two_class(app, ["steel", "pipes"])
        evaluate(app, version, place, 0.8)
        assert judge_version(app, version.id)["verdict"] == "undecided"  # not evaluated on the new one yet
        evaluate(app, version, pipes, quality)
        verdicts.append(judge_version(app, version.id))
    good, poor = verdicts
    assert (good["verdict"], poor["verdict"]) == ("pass", "fail")
    assert (good["production"], good["candidate"]) == ("welds/1", "welds/2")
    checks = {(check["domain"], check["against"]) for check in good["checks"]}
    assert checks == {("steel", "production"), ("pipes", "minimum"), (None, "best")}
    assert {check["domain"] for check in poor["checks"] if check["verdict"] == "fail"} == {"pipes"}
    evaluate(app, first, pipes, 0.05)  # though it was run there, it is no reference for the poor one
    assert judge_version(app, version.id)["verdict"] == "fail"


def test_what_was_never_learned_again_is_compared_all_the_same(app: App, first: ModelVersion) -> None:
    """A candidate from before a domain was learned is judged on it too, by what it answers there."""
    place, pipes = judged(app), judged_domain(app, "pipes")
    both = two_class(app, ["steel", "pipes"])
    evaluate(app, both, place, 0.8)
    evaluate(app, both, pipes, 0.8)
    promote(app, TRAINER, PRODUCTION, wish(both))
    side = two_class(app)
    evaluate(app, side, place, 0.8)
    assert judge_version(app, side.id)["verdict"] == "undecided"
    evaluate(app, side, pipes, 0.2)
    assert judge_version(app, side.id)["verdict"] == "fail"


def test_forgetting_an_old_domain_is_seen(app: App, first: ModelVersion) -> None:
    place, pipes = judged(app), judged_domain(app, "pipes")
    version = two_class(app, ["steel", "pipes"])
    evaluate(app, version, place, 0.6)
    evaluate(app, version, pipes, 0.9)
    verdict = judge_version(app, version.id)
    assert verdict["verdict"] == "fail"
    assert any(check["statistic"] == "forgetting" and check["verdict"] == "fail" for check in verdict["checks"])


def test_versions_of_other_classes_are_not_compared(app: App, first: ModelVersion) -> None:
    version = add_version(app, "others", domains=("steel",))  # three classes, and counted with two
    assert judge_version(app, version.id)["verdict"] == "undecided"


def test_a_version_without_a_package_serves_nowhere(app: App) -> None:
    version = two_class(app)
    with writing(app.database) as session:
        session.get_one(ModelVersion, version.id).serving_sha256 = None
    with pytest.raises(RefusedError, match="no serving package"):
        promote(app, ADMIN, PRODUCTION, wish(version, force=True))


@pytest.mark.parametrize("version", ["welds/99", "welds", "welds/x", "/", "none/1"])
def test_an_unknown_version_is_not_found(app: App, version: str) -> None:
    with pytest.raises(NotFoundError, match="LINE/NUMBER"):
        promote(app, TRAINER, PRODUCTION, Promotion(version=version, reason="r"))


def test_thresholds_come_from_the_settings(app: App) -> None:
    assert promotion.gate_settings(Settings(gate={"forgetting": 0.2})).forgetting == 0.2
    with pytest.raises(UsageError, match=r"SEAMWISE_GATE: .*the gate knows defect_iou_loss"):
        promotion.gate_settings(Settings(gate={"forget": 0.2}))


def judge_and_store(app: App, version: ModelVersion) -> None:
    """As an evaluation ends."""
    verdict = judge_version(app, version.id)
    with writing(app.database) as session:
        session.get_one(ModelVersion, version.id).verdict = verdict


def wishing(app: App) -> App:
    return replace(app, settings=app.settings.model_copy(update={"auto_promote": True}))


def try_out(app: App, version: ModelVersion) -> NamedVersion | None:
    with writing(app.database) as session:
        return promotion.promote_if_passed(session, app.settings, session.get_one(ModelVersion, version.id))


def test_automatic_promotion_is_off_unless_wished(app: App, first: ModelVersion) -> None:
    version = two_class(app)
    evaluate(app, version, judged(app), 0.8)
    judge_and_store(app, version)
    assert try_out(app, version) is None
    named = try_out(wishing(app), version)
    assert named is not None
    assert named.version == "welds/2"
    assert history(app)[-1] == ("promoted", "welds/1", "welds/2", 2)
    aliases.rollback(app, TRAINER, PRODUCTION, Rollback(reason="not good after all"))
    judge_and_store(app, version)
    assert try_out(wishing(app), version) is None  # a person was against it
    worse = two_class(app)
    evaluate(app, worse, judged(app), 0.3)
    judge_and_store(app, worse)
    assert try_out(wishing(app), worse) is None
    assert len(history(app)) == 3


def test_automatic_promotion_needs_a_verdict_that_holds(app: App) -> None:
    version = two_class(app)
    evaluate(app, version, judged_domain(app), 0.8)
    assert try_out(wishing(app), version) is None  # not judged
    judge_and_store(app, version)
    freeze_set(app, SYSTEM, "steel", "more welds")
    assert try_out(wishing(app), version) is None
    evaluate(app, version, judged(app), 0.8)
    judge_and_store(app, version)
    assert try_out(wishing(app), version) is not None


def test_automatic_promotion_changes_no_line(app: App, first: ModelVersion) -> None:
    other = add_version(app, "others", classes=CLASSES[:2])
    evaluate(app, other, judged(app), 0.9)
    judge_and_store(app, other)
    assert try_out(wishing(app), other) is None


def test_history_is_for_good(app: App, first: ModelVersion, embedded: Engine, tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="never change"), writing(app.database) as session:
        session.scalars(select(AliasHistory)).one().reason = "another"
    with reading(app.database) as session:
        assert session.get_one(Alias, PRODUCTION).model_id == first.id
