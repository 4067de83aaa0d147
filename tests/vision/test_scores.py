"""Counts and scores against small masks worked out by hand, and against brute force."""

from __future__ import annotations

import json
import math
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from seamwise.errors import BadInputError, SeamwiseError, UsageError
from seamwise.vision.scores import ImageCounts, auroc, count_image, recall_at_far, recall_by_size, summarise

masks = arrays(np.uint8, (9, 11), elements=st.integers(0, 3))
quick = settings(deadline=None, max_examples=40)

TRUTH = np.array(
    [
        [1, 1, 0, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 2, 0, 0],
        [0, 0, 0, 0, 0, 0, 2, 0],
        [0, 0, 0, 0, 0, 0, 0, 0],
        [1, 0, 0, 9, 9, 0, 0, 0],
    ],
    np.uint8,
)
ANSWER = np.array(
    [
        [1, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 0, 1, 0, 0],
        [0, 0, 0, 0, 0, 0, 1, 0],
        [0, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 2, 2, 0, 0, 2, 2],
    ],
    np.uint8,
)


def count(answer: NDArray = ANSWER, truth: NDArray = TRUTH, **options: object) -> ImageCounts:
    return count_image(answer, truth, **{"classes": 3, "ignore": 9, "min_pixels": 1, **options})


def test_counts_by_hand() -> None:
    counts = count()
    assert counts.confusion == ((28, 0, 3), (4, 1, 0), (0, 2, 0))  # 38 pixels: the two ignored are in no cell
    square, dot, diagonal = counts.defects
    assert (square.kind, square.area_px, square.called_px, square.named_px) == (1, 4, 1, 1)
    assert square.length_px == pytest.approx(math.sqrt(8))
    assert square.peak == 1.0
    assert (dot.area_px, dot.called_px, dot.peak) == (1, 0, 0.0)
    assert (diagonal.kind, diagonal.area_px, diagonal.called_px, diagonal.named_px) == (2, 2, 2, 0)
    assert counts.false_calls == 1  # the right one; the other reaches into the ignored pixels
    assert counts.false_calls_per_class == (0, 1, 1)  # class 1 where class 2 is, and the right one
    assert counts.has_defect


def test_scores_by_hand() -> None:
    scores = summarise([count()])
    assert scores.iou_per_class == (28 / 35, 1 / 7, 0.0)
    assert scores.dice_per_class == (56 / 63, 2 / 8, 0.0)
    assert scores.mean_iou == pytest.approx((28 / 35 + 1 / 7) / 3)
    assert scores.mean_defect_class_iou == pytest.approx(1 / 14)
    assert scores.mean_dice == pytest.approx((56 / 63 + 0.25) / 3)
    assert scores.defect_iou == 3 / 10
    assert scores.defect_dice == 6 / 13
    assert scores.pixel_accuracy == 29 / 38
    assert (scores.images, scores.defects, scores.false_calls_per_image) == (1, 3, 1.0)
    assert scores.defect_recall == 2 / 3
    assert scores.named_recall == 1 / 3
    assert scores.recall_per_class == (None, 1 / 2, 1.0)
    assert [(b.above_px, b.up_to_px, b.defects, b.recall) for b in scores.recall_by_size] == [
        (0, 1, 1, 0.0),
        (1, 2, 1, 1.0),
        (2, None, 1, 1.0),
    ]
    assert scores.auroc is None
    assert scores.recall_at_far is None
    assert summarise([count()], overlap=0.3).defect_recall == 1 / 3  # a quarter of the square is called


def test_small_regions_are_neither_calls_nor_detections() -> None:
    counts = count(min_pixels=2)
    assert [defect.called_px for defect in counts.defects] == [0, 0, 2]
    assert counts.false_calls == 1
    assert counts.confusion == count().confusion
    assert count(min_pixels=3).false_calls == 0


def test_absent_classes_are_left_out_of_means() -> None:
    truth = np.array([[0, 1]], np.uint8)
    scores = summarise([count_image(truth, truth, classes=4)])
    assert scores.iou_per_class == (1.0, 1.0, None, None) == scores.dice_per_class
    assert scores.mean_iou == 1.0
    assert scores.mean_defect_class_iou == 1.0
    empty = summarise([count_image(np.zeros((2, 2), int), np.zeros((2, 2), int), classes=2)])
    assert empty.defect_iou is None
    assert empty.mean_defect_class_iou is None
    assert empty.defect_recall is None
    ignored = summarise([count_image(np.zeros((2, 2), int), np.full((2, 2), 255), classes=2, ignore=255)])
    assert ignored.pixel_accuracy is None
    assert ignored.mean_iou is None


def test_probabilities_give_the_largest_class_and_the_score() -> None:
    probabilities = np.zeros((3, 5, 5), np.float32)
    probabilities[0] = 1
    probabilities[:, 2, 2] = [0.1, 0.3, 0.6]
    probabilities[:, 0, 0] = [0.4, 0.4, 0.2]  # a tie: the lower id
    truth = np.zeros((5, 5), np.uint8)
    truth[2, 2] = 2
    counts = count_image(torch.from_numpy(probabilities), torch.from_numpy(truth), classes=3, min_pixels=1)
    assert counts.confusion == ((24, 0, 0), (0, 0, 0), (0, 0, 1))
    assert counts.defects[0].peak == pytest.approx(0.9)
    # 3 x 3 mean; the image is mirrored at its border, so the corner's window holds the corner pixel four times
    assert counts.score == pytest.approx(4 * 0.6 / 9)
    truth[0, 0] = 255
    assert count_image(probabilities, truth, classes=3, ignore=255).score == pytest.approx(0.9 / 9)


@quick
@given(masks)
def test_a_perfect_prediction_scores_one(mask: NDArray) -> None:
    scores = summarise([count_image(mask, mask, classes=4, min_pixels=1)])
    assert set(scores.iou_per_class) <= {1.0, None}
    assert scores.pixel_accuracy == 1.0
    assert scores.false_calls_per_image == 0
    assert set(scores.false_calls_per_class) == {0.0}
    assert scores.defect_recall in (1.0, None)
    assert scores.named_recall in (1.0, None)
    assert sum(bin_.defects for bin_ in scores.recall_by_size) == scores.defects


@quick
@given(masks, masks)
def test_iou_and_dice_are_symmetric(a: NDArray, b: NDArray) -> None:
    there, back = summarise([count_image(a, b, classes=4)]), summarise([count_image(b, a, classes=4)])
    assert there.iou_per_class == back.iou_per_class
    assert there.dice_per_class == back.dice_per_class
    assert there.defect_iou == back.defect_iou
    for iou, dice in zip(there.iou_per_class, there.dice_per_class, strict=True):
        assert (iou is None) == (dice is None)
        assert iou is None or dice == pytest.approx(2 * iou / (1 + iou))


@quick
@given(masks, masks, masks, masks)
def test_counts_of_images_add_up_to_counts_of_all_pixels(a: NDArray, b: NDArray, c: NDArray, d: NDArray) -> None:
    gap = np.zeros((9, 1), np.uint8)  # keeps the images' regions apart
    separate = summarise([count_image(a, b, classes=4), count_image(c, d, classes=4)])
    joined = count_image(np.hstack([a, gap, c]), np.hstack([b, gap, d]), classes=4)
    together = summarise([joined])
    assert separate.iou_per_class[1:] == together.iou_per_class[1:]
    assert separate.defect_iou == together.defect_iou
    assert separate.defect_recall == together.defect_recall
    assert separate.recall_by_size == together.recall_by_size
    assert separate.false_calls_per_image * 2 == together.false_calls_per_image


@quick
@given(masks, masks)
def test_regions_against_a_flood_fill(answer: NDArray, truth: NDArray) -> None:
    counts = count_image(answer, truth, classes=4, min_pixels=2)
    regions = [region for region in flood(answer > 0) if len(region) >= 2]
    assert counts.false_calls == sum(all(truth[p] == 0 for p in region) for region in regions)
    for kind in range(1, 4):
        own = [region for region in flood(answer == kind) if len(region) >= 2]
        assert counts.false_calls_per_class[kind] == sum(all(truth[p] != kind for p in region) for region in own)
        expected = sorted(
            (len(region), sum(any(p in call for call in regions) for p in region)) for region in flood(truth == kind)
        )
        assert sorted((d.area_px, d.called_px) for d in counts.defects if d.kind == kind) == expected


def flood(where: NDArray) -> list[set[tuple[int, int]]]:
    left, regions = {(int(r), int(c)) for r, c in zip(*np.nonzero(where), strict=True)}, []
    while left:
        region, edge = set(), {left.pop()}
        while edge:
            region |= edge
            edge = {(r + i, c + j) for r, c in edge for i in (-1, 0, 1) for j in (-1, 0, 1)} & left
            left -= edge
        regions.append(region)
    return regions


@quick
@given(masks, masks)
def test_json_round_trip(answer: NDArray, truth: NDArray) -> None:
    counts = count_image(answer, truth, classes=4, name="film 7")
    text = json.dumps(counts.to_json(), allow_nan=False)
    assert ImageCounts.from_json(json.loads(text)) == counts
    json.dumps(summarise([counts]).to_json(), allow_nan=False)


levels = st.lists(st.integers(0, 5).map(float), min_size=1, max_size=12)


@quick
@given(levels, levels)
def test_auroc_is_the_share_of_ordered_pairs(positive: list[float], negative: list[float]) -> None:
    pairs = [(p > n) + (p == n) / 2 for p in positive for n in negative]
    assert auroc(positive, negative) == pytest.approx(sum(pairs) / len(pairs))


@quick
@given(levels, levels, st.sampled_from([0.0, 0.1, 0.29, 0.5, 1.0]))
def test_recall_at_far_is_the_best_of_all_thresholds(positive: list[float], negative: list[float], far: float) -> None:
    best = max(
        sum(p >= t for p in positive) / len(positive)
        for t in (*positive, *negative, math.inf)
        if sum(n >= t for n in negative) <= far * len(negative) + 1e-9
    )
    assert recall_at_far(positive, negative, far) == pytest.approx(best)


def test_false_alarms_are_allowed_up_to_the_exact_rate() -> None:
    negative = [float(i) for i in range(100)]
    assert 0.29 * 100 < 29
    assert recall_at_far([70.5], negative, 0.29) == 1.0  # 29 negatives, 71 to 99, lie above
    assert recall_at_far([69.5], negative, 0.29) == 0.0
    assert recall_at_far([-1.0], negative, 1.0) == 1.0


def test_images_are_ranked_by_their_scores() -> None:
    clean, defect = np.zeros((12, 12), np.uint8), np.zeros((12, 12), np.uint8)
    defect[3:6, 3:6] = 1
    spot = np.zeros((12, 12), np.uint8)
    spot[8, 8] = 1
    counts = [
        count_image(a, t, classes=2) for a, t in ((defect, defect), (spot, clean), (clean, clean), (spot, defect))
    ]
    assert [image.score for image in counts] == pytest.approx([1, 1 / 9, 0, 1 / 9], abs=1e-6)
    scores = summarise(counts)
    assert scores.auroc == (1 + 1 + 0.5 + 1) / 4
    assert scores.recall_at_far == 0.5  # no false alarm is allowed among two images, so 1/9 is no alarm
    assert summarise(counts, far=0.5).recall_at_far == 1.0


def test_size_bins_at_given_edges() -> None:
    scores = summarise([count()], size_edges_px=[3, 100])
    assert [(b.defects, b.recall) for b in scores.recall_by_size] == [(2, 0.5), (1, 1.0), (0, None)]
    assert [(b.defects, b.recall) for b in recall_by_size([], [])] == [(0, None)]


def test_refuses_what_does_not_fit() -> None:
    mask = np.zeros((4, 4), np.uint8)
    for answer in (np.zeros((4, 5), int), np.full((4, 4), 3), np.zeros((3, 4, 4)), mask.astype(float)):
        with pytest.raises(BadInputError):
            count_image(answer, mask, classes=2)
    with pytest.raises(BadInputError, match="film 3 holds ids outside 0 to 1"):
        count_image(mask, mask + 255, classes=2, name="film 3")
    with pytest.raises(SeamwiseError, match="diverged"):
        count_image(np.full((2, 4, 4), np.nan, np.float32), mask, classes=2)
    with pytest.raises(UsageError, match="none"):
        summarise([])
    with pytest.raises(UsageError, match=r"\[2, 3\]"):
        summarise([count_image(mask, mask, classes=2), count_image(mask, mask, classes=3)])


def test_a_long_film_is_counted_quickly() -> None:
    rng = np.random.default_rng(0)
    truth = np.zeros((700, 5000), np.uint8)
    for row, column in zip(rng.integers(0, 690, 200), rng.integers(0, 4900, 200), strict=True):
        truth[row : row + 6, column : column + 60] = 1 + row % 3
    probabilities = rng.random((4, 700, 5000), dtype=np.float32)
    probabilities[0] += 0.9
    start = time.process_time()
    counts = count_image(probabilities, truth, classes=4)
    assert time.process_time() - start < 3  # some .3 s on an idle machine
    assert sum(map(sum, counts.confusion)) == truth.size
