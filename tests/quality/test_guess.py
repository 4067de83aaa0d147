"""Which domain an image belongs to: closed forms, calibration, simulated welds and real domains."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import multivariate_t

from seamwise.errors import BadInputError, UsageError
from seamwise.quality.extractor import extract
from seamwise.quality.guess import Reference, _log_density, _squared_distance, describe, guess
from seamwise.vision.domain import read_domain
from seamwise.vision.images import read_image, to_float
from tests.quality.pictures import pictures

DOMAINS = ("panel-160kv-8mm", "film-180kv-10mm", "panel-140kv-od76-ellipse", "pe-butt-sector")


def names(count: int) -> list[str]:
    return [f"w{number}" for number in range(count)]


def test_one_feature_by_hand() -> None:
    found = describe("film", [[1.0], [3.0]], ["a", "b"])
    # Prior: 3 welds of unit variance; data: two welds, squares 1 + 1 about their mean 2.
    assert found.centre.tolist() == [2.0]
    assert (found.degrees, found.welds) == (7, 2)
    assert found.scale[0, 0] == pytest.approx((3 + 2) * (1 + 1 / 2.01) / 7)


def test_the_density_is_the_multivariate_t() -> None:
    rng = np.random.default_rng(0)
    found = describe("film", rng.normal(size=(12, 4)) * [1, 2, 3, 0.1], names(12))
    row = rng.normal(size=4)
    expected = multivariate_t.logpdf(row, found.centre, found.scale, df=found.degrees)
    assert _log_density(found, _squared_distance(found, row)) == pytest.approx(float(expected))


def test_welds_weigh_the_same_however_many_images_they_have() -> None:
    once = describe("film", [[0.0, 1.0], [4.0, 2.0], [5.0, 5.0]], ["a", "b", "c"])
    often = describe("film", [[0.0, 1.0]] * 9 + [[4.0, 2.0], [5.0, 5.0]], ["a"] * 9 + ["b", "c"])
    assert often.centre == pytest.approx(once.centre)
    assert often.scale == pytest.approx(once.scale)
    assert (often.degrees, often.welds) == (once.degrees, 3)


def test_typicality_is_the_share_that_lies_farther_out() -> None:
    rng = np.random.default_rng(1)
    reference = describe("film", rng.normal(size=(300, 3)), names(300))
    shares = [guess([reference], row).typicality for row in rng.normal(size=(600, 3))]
    assert np.quantile(shares, [0.1, 0.5, 0.9]) == pytest.approx([0.1, 0.5, 0.9], abs=0.07)
    assert np.mean([guess([reference], row).unlike_all for row in rng.normal(size=(600, 3))]) < 0.025


def test_confidence_is_how_often_a_guess_is_right() -> None:
    rng = np.random.default_rng(2)
    references = [describe(name, rng.normal(size=(40, 2)) + shift, names(40)) for name, shift in (("a", 0), ("b", 1.5))]
    guesses = [("b" if side else "a", guess(references, rng.normal(size=2) + 1.5 * side)) for side in [0, 1] * 600]
    confidence = np.array([found.confidence for _, found in guesses])
    right = np.array([found.domain == name for name, found in guesses])
    for low, high in ((0.5, 0.8), (0.8, 0.95), (0.95, 1.0)):
        inside = (confidence >= low) & (confidence <= high)
        assert right[inside].mean() == pytest.approx(confidence[inside].mean(), abs=0.08)


def test_far_from_everything_is_unlike_all() -> None:
    rng = np.random.default_rng(3)
    references = [describe(name, rng.normal(size=(30, 3)) + shift, names(30)) for name, shift in (("a", 0), ("b", 9))]
    near, far = guess(references, [9.0, 9.0, 9.0]), guess(references, [-20.0, 30.0, 4.0])
    assert (near.domain, near.unlike_all) == ("b", False)
    assert near.distances["b"] < 1 < near.distances["a"]
    assert far.unlike_all
    assert far.typicality < 0.001


def test_references_are_plain_values() -> None:
    reference = describe("film", np.random.default_rng(4).normal(size=(9, 5)), names(9))
    back = Reference.from_json(json.loads(json.dumps(reference.to_json(), allow_nan=False)))
    assert guess([back], np.ones(5)) == guess([reference], np.ones(5))


def test_bad_input_is_named() -> None:
    reference = describe("film", np.zeros((2, 3)), ["a", "b"])
    with pytest.raises(UsageError, match="no domain"):
        guess([], np.zeros(3))
    for row in (np.zeros(4), [0.0, math.nan, 0.0]):
        with pytest.raises(BadInputError, match="film"):
            guess([reference], row)
    with pytest.raises(BadInputError, match="scan"):
        describe("scan", np.zeros((2, 3)), ["a"])


def test_simulated_welds_are_sorted_right() -> None:
    references = [describe(domain, *pictures(domain, 20)) for domain in DOMAINS]
    right, unlike = [], []
    for domain in DOMAINS:
        for row in pictures(domain, 10, seed=1)[0]:
            found = guess(references, row)
            right.append(found.domain == domain)
            unlike.append(found.unlike_all)
    assert np.mean(right) >= 0.98
    assert np.mean(unlike) <= 0.06


def test_a_simulated_domain_that_nobody_knows_is_noticed() -> None:
    references = [describe(domain, *pictures(domain, 20)) for domain in DOMAINS[:3]]
    for new in ("pe-butt-sector", "pe-electrofusion-5mhz"):
        assert np.mean([guess(references, row).unlike_all for row in pictures(new, 10, seed=1)[0]]) > 0.8, new


@pytest.mark.data
def test_real_domains_are_sorted_right() -> None:
    given = os.environ.get("SEAMWISE_TEST_DATA")
    if not given:
        pytest.skip("SEAMWISE_TEST_DATA names no folder with the sets")
    kinds = ("casting_xray", "road_crack_cfd", "weld_visual", "weld_xray")
    folders = {kind: read_domain(Path(given) / "segmentation" / kind) for kind in kinds}
    references, queries = [], []
    for name, domain in folders.items():
        samples = domain.samples["train"][:30]
        rows = [extract(to_float(read_image(sample.image).pixels)) for sample in samples]
        references.append(describe(name, rows, [sample.group for sample in samples]))
        queries += [(name, sample) for sample in domain.samples["test"][:12]]
    found = [(name, guess(references, extract(to_float(read_image(s.image).pixels)))) for name, s in queries]
    assert np.mean([item.domain == name for name, item in found]) >= 0.97
    assert np.mean([item.unlike_all for _, item in found]) <= 0.1
