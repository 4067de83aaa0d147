"""Verdicts of the gate on made-up models whose right verdict is known."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seamwise.errors import UsageError
from seamwise.quality.gate import Check, Evaluation, GateSettings, QualificationSet, Verdict, judge
from seamwise.vision.counts import ImageCounts
from tests.quality.counting import answers, image

RANK = {"fail": 0, "undecided": 1, "pass": 2}
FEW_DRAWS = GateSettings(resamples=500)


def one_set(
    domain: str = "film", welds: int = 60, classes: tuple[str, ...] = ("background", "defect")
) -> QualificationSet:
    return QualificationSet(domain, {f"{n:03d}": f"weld {n}" for n in range(welds)}, classes)


def model(version: str, counts: Sequence[ImageCounts], domain: str = "film") -> Evaluation:
    return Evaluation(version, {domain: counts})


def find(verdict: Verdict, statistic: str, against: str | None = "production", domain: str | None = "film") -> Check:
    (found,) = (
        item for item in verdict.checks if (item.statistic, item.against, item.domain) == (statistic, against, domain)
    )
    return found


def test_the_same_model_passes() -> None:
    verdict = judge([one_set()], model("v2", answers(0.8)), model("v1", answers(0.8)))
    assert verdict.verdict == "pass"
    assert {item.statistic for item in verdict.checks} == {
        "defect_iou",
        "defect_recall",
        "small_recall",
        "false_calls",
        "forgetting",
    }
    assert all(item.difference == 0 and item.reason == "within" for item in verdict.checks)


def test_a_much_worse_model_fails_with_its_figures() -> None:
    verdict = judge([one_set()], model("v2", answers(0.6, seed=3)), model("v1", answers(0.8)))
    assert (verdict.verdict, verdict.candidate, verdict.production) == ("fail", "v2", "v1")
    iou = find(verdict, "defect_iou")
    assert (iou.verdict, iou.reason, iou.version, iou.allowed) == ("fail", "beyond", "v1", 0.05)
    assert iou.candidate == pytest.approx(0.6, abs=0.02)
    assert iou.reference == pytest.approx(0.8, abs=0.02)
    assert iou.interval is not None
    assert iou.interval[0] < -0.2 < iou.interval[1] < -0.05
    assert (iou.welds, iou.images, iou.defects) == (60, 60, 120)
    assert iou.detectable is not None
    assert 0 < iou.detectable < 0.02
    assert "beyond the allowed fall of 0.05" in iou.words
    assert "production (v1)" in iou.words
    assert find(verdict, "defect_recall").verdict == "pass"  # outlines are worse, nothing is missed
    assert find(verdict, "forgetting", "best", None).verdict == "fail"


def test_a_loss_about_the_allowed_one_is_undecided() -> None:
    verdict = judge([one_set()], model("v2", answers(0.75, seed=3)), model("v1", answers(0.8)))
    iou = find(verdict, "defect_iou")
    assert (verdict.verdict, iou.verdict, iou.reason) == ("undecided", "undecided", "straddles")
    assert "neither shown nor ruled out" in iou.words


def test_five_welds_decide_nothing() -> None:
    verdict = judge([one_set(welds=5)], model("v2", answers(0.1, 5)), model("v1", answers(0.9, 5)))
    assert verdict.verdict == "undecided"
    assert {item.reason for item in verdict.checks} == {"too_few_welds"}
    iou = find(verdict, "defect_iou")
    assert iou.interval is None
    assert iou.detectable is None
    assert iou.difference == pytest.approx(-0.8, abs=0.05)
    assert "5 welds hold something to judge, and fewer than 6" in iou.words


def test_few_defects_cannot_prove_that_none_would_be_lost() -> None:
    """Both models find all of 20 defects: equal, and yet one of ten might be lost."""
    counts = [image(f"{n:03d}", [(1, 100, 90)]) for n in range(20)]
    verdict = judge([one_set(welds=20)], model("v2", counts), model("v1", counts))
    assert find(verdict, "defect_iou").verdict == "pass"
    recall = find(verdict, "defect_recall")
    assert (recall.difference, recall.verdict) == (0.0, "undecided")
    assert recall.interval == pytest.approx((-0.161, 0.161), abs=0.001)  # 3.84 / 23.84
    assert recall.detectable == pytest.approx(0.161, abs=0.001)


def test_small_defects_are_judged_apart() -> None:
    def some(small_called: int) -> list[ImageCounts]:
        return [image(f"{n:03d}", [(1, 400, 350)] * 9 + [(1, 12, small_called if n % 2 else 12)]) for n in range(100)]

    verdict = judge([replace(one_set(welds=100), small_px=20)], model("v2", some(0)), model("v1", some(12)))
    assert find(verdict, "defect_recall").verdict == "pass"
    assert find(verdict, "defect_recall").difference == pytest.approx(-0.05)
    small = find(verdict, "small_recall")
    assert (small.verdict, small.difference, small.defects) == ("fail", -0.5, 100)
    assert verdict.verdict == "fail"


def test_more_false_calls_fail_and_fewer_pass() -> None:
    few, many = answers(0.8, false_calls=0), answers(0.8, false_calls=1)
    worse = find(judge([one_set()], model("v2", many), model("v1", few)), "false_calls")
    assert (worse.verdict, worse.difference, worse.higher_is_better) == ("fail", 1.0, False)
    assert "beyond the allowed rise" in worse.words
    assert find(judge([one_set()], model("v2", few), model("v1", many)), "false_calls").verdict == "pass"


def test_no_margin_is_lost_round_by_round() -> None:
    """Each candidate is 0.02 worse than the last accepted one, which is within the margin of 0.05 every time."""

    def last_accepted(remember: bool) -> float:
        serving = Evaluation("v0", {"film": answers(0.9)})
        accepted = [serving]
        for number in range(1, 12):
            candidate = model(f"v{number}", answers(0.9 - 0.02 * number, seed=number))
            verdict = judge([one_set()], candidate, serving, accepted if remember else (), settings=lenient)
            if verdict.verdict != "pass":
                assert find(verdict, "defect_iou").verdict == "pass"  # production alone would have let it through
                assert find(verdict, "defect_iou", "best").version == "v0"
                break
            serving = candidate
            accepted.append(candidate)
        return 0.9 - 0.02 * int(serving.version[1:])

    lenient = replace(FEW_DRAWS, forgetting=1)
    assert last_accepted(remember=True) >= 0.9 - 0.05
    assert last_accepted(remember=False) < 0.75


def test_the_best_is_chosen_figure_by_figure() -> None:
    outlines, calls = answers(0.9, false_calls=2), answers(0.7, false_calls=0)
    serving = model("v3", answers(0.8, false_calls=1))
    verdict = judge(
        [one_set()], model("v4", answers(0.8)), serving, [model("v1", outlines), model("v2", calls), serving]
    )
    assert find(verdict, "defect_iou", "best").version == "v1"
    assert find(verdict, "false_calls", "best").version == "v2"
    assert not [item for item in verdict.checks if item.against == "best" and item.version == "v3"]


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.floats(0.5, 0.9), st.floats(0.0, 1.0))
def test_a_strictly_worse_candidate_never_gets_a_better_verdict(seed: int, quality: float, keep: float) -> None:
    """Worse: in every image fewer pixels of each defect are called, and there are more false calls."""
    welds = 6 + seed % 20
    candidate = answers(quality, welds, seed=seed, noise=0.2)
    worse = [
        image(
            item.name,
            [(d.kind, d.area_px, int(d.called_px * (1 - keep) ** (place % 2))) for d in item.defects],
            item.false_calls + place % 2,
        )
        for place, item in enumerate(candidate)
    ]
    production = model("v1", answers(0.7, welds, seed=1))
    best = model("v0", answers(0.8, welds, seed=2))
    a, b = (
        judge([one_set(welds=welds)], model("v2", counts), production, [best], settings=FEW_DRAWS)
        for counts in (candidate, worse)
    )
    assert RANK[b.verdict] <= RANK[a.verdict]
    for before, after in zip(a.checks, b.checks, strict=True):
        assert RANK[after.verdict] <= RANK[before.verdict], after.words


def test_without_production_the_minimums_decide() -> None:
    good = judge([one_set()], model("v1", answers(0.8)))
    assert good.verdict == "pass"
    assert good.production is None
    assert {(item.statistic, item.against) for item in good.checks} == {
        ("defect_iou", "minimum"),
        ("defect_recall", "minimum"),
        ("false_calls", "minimum"),
    }
    bad = judge([one_set()], model("v1", answers(0.2, false_calls=3)))
    assert find(bad, "defect_iou", "minimum").verdict == "fail"
    assert find(bad, "false_calls", "minimum").verdict == "fail"
    assert find(bad, "defect_iou", "minimum").reference == 0.3
    assert "the minimum" in find(bad, "defect_iou", "minimum").words
    assert "the most allowed" in find(bad, "false_calls", "minimum").words
    assert bad.verdict == "fail"
    none = GateSettings(least_defect_iou=None, least_defect_recall=None, most_false_calls=None)
    assert judge([one_set()], model("v1", answers(0.8)), settings=none).verdict == "undecided"


def test_a_domain_that_was_not_evaluated_is_undecided() -> None:
    sets = [one_set(), one_set("scan")]
    both = {"film": answers(0.8), "scan": answers(0.8)}
    full, half = Evaluation("v1", both), Evaluation("v2", {"film": answers(0.8)})
    for candidate, production in ((half, full), (full, half)):
        verdict = judge(sets, candidate, production)
        assert verdict.verdict == "undecided"
        missing = [item for item in verdict.checks if item.reason == "not_evaluated"]
        assert [(item.domain, item.version) for item in missing] == [("scan", "v2")]
        assert "evaluate it there" in missing[0].words
    assert judge(sets, full, replace(full, version="v0")).verdict == "pass"
    assert judge([], full, full).verdict == "undecided"


def test_forgetting_is_over_the_old_domains() -> None:
    sets = [one_set(name) for name in ("film", "scan", "photo")]
    before = Evaluation("v1", {name: answers(0.8, seed=5) for name in ("film", "scan", "photo")})
    after = Evaluation("v2", {"film": answers(0.76), "scan": answers(0.76), "photo": answers(0.9)})
    strict = GateSettings(forgetting=0.02)
    verdict = judge(sets, after, before, new=["photo"], settings=strict)
    check = find(verdict, "forgetting", "best", None)
    assert check.difference == pytest.approx(-0.04, abs=0.01)
    assert (check.verdict, check.images, check.defects) == ("fail", 120, 240)
    assert find(verdict, "defect_iou").verdict == "pass"
    assert find(judge(sets, after, before, settings=strict), "forgetting", "best", None).verdict == "pass"


def test_a_class_that_the_set_lacks_is_not_judged() -> None:
    place = one_set(classes=("background", "pore", "crack", "slag"))
    counts = answers(0.8, classes=3)
    wide = [replace_classes(item, 4) for item in counts]
    verdict = judge([place], model("v2", wide), model("v1", wide))
    assert {item.class_name for item in verdict.checks if item.statistic == "class_iou"} == {"pore", "crack"}
    assert [(item.statistic, item.class_name) for item in verdict.absent] == [("class_iou", "slag")]
    assert "IoU of slag on film" in verdict.absent[0].words
    assert verdict.verdict == "pass"
    assert next(item for item in verdict.checks if item.class_name == "crack").defects == 60


def replace_classes(item: ImageCounts, classes: int) -> ImageCounts:
    """The same counts with classes that never occur."""
    more = classes - len(item.confusion)
    rows = (*(row + (0,) * more for row in item.confusion), *((0,) * classes for _ in range(more)))
    return replace(item, confusion=rows)


def test_a_set_without_defects_judges_false_calls_alone() -> None:
    clean = [image(f"{n:03d}", []) for n in range(40)]
    verdict = judge([one_set(welds=40)], model("v2", clean), model("v1", clean))
    assert [item.statistic for item in verdict.checks] == ["false_calls"]
    assert {item.statistic for item in verdict.absent} == {"defect_iou", "defect_recall", "small_recall"}


def test_the_answer_is_plain_values_and_the_same_each_time() -> None:
    def run(counts: Sequence[ImageCounts]) -> str:
        verdict = judge([one_set(), one_set("scan", 4)], model("v2", counts), model("v1", answers(0.8)))
        return json.dumps(verdict.to_json(), allow_nan=False)

    counts = answers(0.75, seed=1)
    assert run(counts) == run(counts[::-1])
    stored = json.loads(run(counts))
    assert stored["verdict"] == "undecided"
    assert stored["settings"]["defect_iou_loss"] == 0.05
    assert set(stored["checks"][0]) >= {"interval", "allowed", "detectable", "welds", "images", "defects", "words"}


def test_counts_against_other_masks_are_refused() -> None:
    redrawn = [*answers(0.8)[:-1], image("059", [(1, 50, 40)])]
    with pytest.raises(UsageError, match="v2 and v1 were counted against different masks of film"):
        judge([one_set()], model("v2", answers(0.8)), model("v1", redrawn))
    with pytest.raises(UsageError, match="'059'"):
        judge([one_set()], model("v2", answers(0.8)[:-1]), model("v1", answers(0.8)))
    with pytest.raises(UsageError, match="film is empty"):
        judge([one_set(welds=0)], model("v2", []))


@pytest.mark.parametrize(
    "setting",
    [
        {"defect_iou_loss": -0.1},
        {"least_defect_iou": -1},
        {"confidence": 95},
        {"power": 0.2},
        {"resamples": 100},
        {"seed": -1},
        {"seed": 1.5},
        {"resamples": 1000.5},
        {"overlap": None},
        {"power": "0.8"},
        {"defect_iou_loss": True},
        {"forgetting": float("nan")},
        {"false_call_rise": float("inf")},
        {"most_false_calls": 10**400},
        {"least_defect_recall": [0.5]},
    ],
)
def test_settings_without_a_meaning_are_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(setting))):
        GateSettings(**setting)
