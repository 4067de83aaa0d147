"""Every loss against values worked out by hand, and the promises they share."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from seamwise.errors import UsageError
from seamwise.vision.losses import LOSSES, build_loss


def logits_of(p: list[list[float]]) -> Tensor:
    """One sample (1, K, 1, P) in float64 whose softmax is p; rows are pixels."""
    return torch.tensor(p, dtype=torch.float64).log().T[None, :, None, :].contiguous()


def target_of(*classes: int) -> Tensor:
    return torch.tensor(classes)[None, None, :]


def value(name: str, p: list[list[float]], target: Tensor, ignore: int | None = None, **options: object) -> float:
    return build_loss(name, **options)(logits_of(p), target, ignore).item()


def random_case(classes: int = 3, ignore: int | None = 9) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(5)
    logits = torch.randn(3, classes, 4, 5, generator=draw, dtype=torch.float64)
    target = torch.randint(0, classes, (3, 4, 5), generator=draw)
    if ignore is not None:
        target[torch.rand(3, 4, 5, generator=draw) < 0.3] = ignore
    return logits, target


def slope(loss: Tensor, logits: Tensor) -> Tensor:
    """Gradient of the summed losses."""
    return torch.autograd.grad(loss.sum(), logits)[0]


P = [[0.9, 0.1], [0.2, 0.8], [0.5, 0.5], [0.7, 0.3]]
T = target_of(0, 1, 1, 0)


def test_cross_entropy_by_hand() -> None:
    expected = -(math.log(0.9) + math.log(0.8) + math.log(0.5) + math.log(0.7)) / 4
    assert value("cross_entropy", P, T) == pytest.approx(expected, rel=1e-12)


def test_cross_entropy_weights_divide_by_pixels_not_by_weight() -> None:
    expected = -(0.1 * math.log(0.9) + 2 * math.log(0.8) + 2 * math.log(0.5) + 0.1 * math.log(0.7)) / 4
    assert value("cross_entropy", P, T, weights=[0.1, 2.0]) == pytest.approx(expected, rel=1e-12)


def test_focal_by_hand() -> None:
    expected = -sum((1 - p) ** 2 * math.log(p) for p in (0.9, 0.8, 0.5, 0.7)) / 4
    assert value("focal", P, T, gamma=2.0) == pytest.approx(expected, rel=1e-12)


def test_focal_with_gamma_zero_is_cross_entropy() -> None:
    logits, target = random_case()
    torch.testing.assert_close(
        build_loss("focal", gamma=0.0)(logits, target, 9), LOSSES["cross_entropy"](logits, target, 9)
    )


def test_dice_by_hand() -> None:
    # foreground: TP = .8 + .5, sum of p = 1.7, pixels = 2
    assert value("dice", P, T, smooth=1.0) == pytest.approx(1 - (2 * 1.3 + 1) / (1.7 + 2 + 1), rel=1e-12)


def test_dice_ce_is_the_sum() -> None:
    expected = value("cross_entropy", P, T) + 0.5 * value("dice", P, T, smooth=2.0)
    assert value("dice_ce", P, T, dice_weight=0.5, smooth=2.0) == pytest.approx(expected, rel=1e-12)


def test_tversky_by_hand() -> None:
    tp, fp, fn = 1.3, 0.4, 0.7
    expected = 1 - (tp + 1) / (tp + 0.3 * fp + 0.7 * fn + 1)
    assert value("tversky", P, T) == pytest.approx(expected, rel=1e-12)
    assert value("focal_tversky", P, T, gamma=0.75) == pytest.approx(expected**0.75, rel=1e-12)


def test_lovasz_by_hand() -> None:
    # errors of the foreground, largest first: .5 (hit), .3 (false), .2 (hit), .1 (false). Leaving them out one by one
    # the Jaccard loss grows 1/2, 2/3, 1, 1: its steps weigh the errors.
    expected = 0.5 * (1 / 2) + 0.3 * (2 / 3 - 1 / 2) + 0.2 * (1 - 2 / 3) + 0.1 * 0
    assert value("lovasz", P, T) == pytest.approx(expected, rel=1e-12)


def test_lovasz_of_a_hard_answer_is_one_minus_iou() -> None:
    hard = [[0.0, 1.0], [0.0, 1.0], [1.0, 0.0], [1.0, 0.0]]
    assert value("lovasz", hard, target_of(1, 0, 1, 0)) == pytest.approx(1 - 1 / 3)


def test_regions_average_over_the_classes_present() -> None:
    p = [[0.5, 0.3, 0.2], [0.1, 0.8, 0.1]]
    # class 1 is present (dice of one pixel), class 2 is absent: it costs its mean probability
    expected = 1 - (2 * 0.8 + 1) / (1.1 + 1 + 1) + (0.2 + 0.1) / 2
    assert value("dice", p, target_of(0, 1)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", ["dice", "tversky", "focal_tversky", "lovasz"])
def test_all_background_costs_the_mean_foreground_probability(name: str) -> None:
    assert value(name, P, target_of(0, 0, 0, 0)) == pytest.approx((0.1 + 0.8 + 0.5 + 0.3) / 4, rel=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_perfect_answers_cost_nothing(name: str) -> None:
    target = torch.tensor([[[0, 1], [2, 1]], [[0, 0], [0, 0]]])
    logits = 60.0 * torch.nn.functional.one_hot(target, 3).permute(0, 3, 1, 2).double()
    assert build_loss(name)(logits, target, None).abs().max() < 1e-8


@pytest.mark.parametrize(("name", "ignore"), list(itertools.product(LOSSES, [None, 9])))
def test_gradients_are_right(name: str, ignore: int | None) -> None:
    logits, target = random_case(ignore=ignore)
    loss = build_loss(name)
    assert torch.autograd.gradcheck(lambda x: loss(x, target, ignore), (logits.requires_grad_(),))


@pytest.mark.parametrize("name", LOSSES)
def test_samples_do_not_mix(name: str) -> None:
    logits, target = random_case()
    together = build_loss(name)(logits, target, 9)
    alone = torch.cat([build_loss(name)(logits[i : i + 1], target[i : i + 1], 9) for i in range(3)])
    torch.testing.assert_close(together, alone, rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", LOSSES)
def test_ignored_pixels_do_not_count(name: str) -> None:
    p = [[0.9, 0.1], [0.2, 0.8], [0.5, 0.5], [0.3, 0.7]]
    loss = build_loss(name)
    logits, fewer = logits_of(p).requires_grad_(), logits_of(p[:2]).requires_grad_()
    with_ignored = loss(logits, target_of(0, 1, 255, 255), 255)
    without = loss(fewer, target_of(0, 1), 255)
    torch.testing.assert_close(with_ignored, without, rtol=1e-12, atol=0)
    gradient = slope(with_ignored, logits)
    assert (gradient[..., 2:] == 0).all()
    torch.testing.assert_close(gradient[..., :2], slope(without, fewer), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", LOSSES)
def test_a_wholly_ignored_sample_is_zero_with_zero_gradient(name: str) -> None:
    logits, target = random_case()
    target[1] = 9
    logits.requires_grad_()
    values = build_loss(name)(logits, target, 9)
    assert values[1] == 0
    assert values[0] > 0
    gradient = slope(values, logits)
    assert (gradient[1] == 0).all()
    assert gradient[0].abs().sum() > 0


@pytest.mark.parametrize(("name", "low"), list(itertools.product(LOSSES, [-torch.inf, -1e9, torch.finfo().min])))
def test_disallowed_classes_are_as_if_they_were_not_there(name: str, low: float) -> None:
    logits, target = random_case(classes=2)
    loss = build_loss(name)
    small = logits.clone().requires_grad_()
    large = torch.cat([logits, torch.full((3, 2, 4, 5), low, dtype=torch.float64)], 1).requires_grad_()
    expected, actual = loss(small, target, 9), loss(large, target, 9)
    torch.testing.assert_close(actual, expected, rtol=1e-12, atol=0)
    gradient = slope(actual, large)
    torch.testing.assert_close(gradient[:, :2], slope(expected, small), rtol=1e-9, atol=1e-15)
    assert (gradient[:, 2:] == 0).all()


@pytest.mark.parametrize("name", LOSSES)
def test_a_target_in_a_disallowed_class_stays_finite(name: str) -> None:
    logits = torch.zeros(1, 3, 1, 2)
    logits[:, 2] = -torch.inf
    logits.requires_grad_()
    loss = build_loss(name)(logits, target_of(2, 1), None)
    assert loss.isfinite().all()
    assert slope(loss, logits).isfinite().all()


@pytest.mark.parametrize(("name", "size"), list(itertools.product(LOSSES, [0.0, 1e4])))
def test_extreme_logits_keep_finite_gradients(name: str, size: float) -> None:
    logits = (size * torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).view(1, 2, 1, 2)).requires_grad_()
    for target in (target_of(0, 1), target_of(1, 0), target_of(0, 0)):
        loss = build_loss(name)(logits, target, None)
        assert loss.isfinite().all()
        assert slope(loss, logits).isfinite().all()


def test_focal_with_a_small_gamma_keeps_finite_gradients_when_right() -> None:
    logits = torch.tensor([60.0, 0.0]).view(1, 2, 1, 1).requires_grad_()
    loss = build_loss("focal", gamma=0.5)(logits, target_of(0), None)
    assert slope(loss, logits).isfinite().all()


@pytest.mark.parametrize("name", LOSSES)
def test_computes_in_float32_under_autocast(name: str) -> None:
    logits, target = random_case()
    half = logits.bfloat16()
    expected = build_loss(name)(half.float(), target, 9)
    with torch.autocast("cpu", torch.bfloat16):
        actual = build_loss(name)(half, target, 9)
    assert actual.dtype == torch.float32
    assert torch.equal(actual, expected)


def test_unknown_names_and_options_say_the_nearest_right_one() -> None:
    with pytest.raises(UsageError, match="did you mean 'dice_ce'"):
        build_loss("dise_ce")
    with pytest.raises(UsageError, match="did you mean 'gamma'"):
        build_loss("focal", gama=1.0)
    with pytest.raises(UsageError, match="its options: none"):
        build_loss("lovasz", smooth=1.0)
    with pytest.raises(UsageError, match="2 values for 3 classes"):
        build_loss("cross_entropy", weights=[1.0, 2.0])(*random_case(), 9)
