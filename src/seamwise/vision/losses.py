"""Segmentation losses, one value a sample.

Every loss takes logits (N, K, H, W), target (N, H, W) int64 and the class id to ignore (or None), and returns (N,).
They agree on the following.

- Pixels whose target is the ignored id count nowhere. A sample in which every pixel is ignored has loss and gradient 0.
- Classes that a sample's domain does not have arrive with logits of -inf (or very low). They get probability 0 and
  no gradient. A target in such a class is a contradiction; its loss is large (about 1e4) but finite.
- They compute in float32 whatever autocast says, or in float64 when given that.
- The region losses (dice, tversky, lovasz) look at the foreground classes 1 .. K-1. They average over the classes
  present in the sample. An absent class has no region to match, so it costs the mean probability given to it, which
  keeps a calm gradient against false alarms in tiles without a defect.
"""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from seamwise.errors import UsageError

Loss = Callable[[Tensor, Tensor, int | None], Tensor]

# A logit this low is probability 0 in float32 and float64 alike, and unlike -inf it makes no inf - inf.
_LOWEST = -1e4


def cross_entropy(
    logits: Tensor, target: Tensor, ignore: int | None = None, weights: Sequence[float] | None = None
) -> Tensor:
    """Mean cross-entropy over a sample's valid pixels.

    weights: one factor a class. The mean still divides by the number of pixels, not by their weight, so that a
    low-weighted background stays low-weighted in a sample that shows nothing else.
    """
    logits, target, valid = _prepare(logits, target, ignore)
    factors = None if weights is None else logits.new_tensor(_one_each(weights, logits.shape[1]))
    return _mean(F.cross_entropy(logits, target, weight=factors, reduction="none"), valid)


def focal(logits: Tensor, target: Tensor, ignore: int | None = None, gamma: float = 2.0) -> Tensor:
    """Cross-entropy that fades for pixels already right: (1 - p)^gamma (Lin et al. 2017, "Focal Loss", eq. 4)."""
    logits, target, valid = _prepare(logits, target, ignore)
    surprise = F.cross_entropy(logits, target, reduction="none")
    # the floor keeps the power's slope finite at p = 1 for gamma < 1
    wrong = (-torch.expm1(-surprise)).clamp_min(1e-12)
    return _mean(wrong**gamma * surprise, valid)


def dice(logits: Tensor, target: Tensor, ignore: int | None = None, smooth: float = 1.0) -> Tensor:
    """One minus the soft Dice overlap (2 TP + s) / (2 TP + FP + FN + s), mean over the foreground classes present.

    smooth: s, in pixels; it softens the loss of defects of few pixels (Milletari et al. 2016, "V-Net").
    """
    return tversky(logits, target, ignore, alpha=0.5, beta=0.5, smooth=smooth / 2)


def dice_ce(
    logits: Tensor, target: Tensor, ignore: int | None = None, dice_weight: float = 1.0, smooth: float = 1.0
) -> Tensor:
    """Cross-entropy plus `dice_weight` times Dice: calm gradients everywhere, and rare foreground counts."""
    return cross_entropy(logits, target, ignore) + dice_weight * dice(logits, target, ignore, smooth)


def tversky(
    logits: Tensor,
    target: Tensor,
    ignore: int | None = None,
    alpha: float = 0.3,
    beta: float = 0.7,
    smooth: float = 1.0,
) -> Tensor:
    """One minus (TP + s) / (TP + alpha FP + beta FN + s) (Salehi et al. 2017).

    beta above alpha punishes missed pixels more than false ones; both .5 is Dice. smooth: s, in pixels.
    """
    return _foreground(logits, target, ignore, functools.partial(_tversky, alpha=alpha, beta=beta, smooth=smooth))


def focal_tversky(
    logits: Tensor,
    target: Tensor,
    ignore: int | None = None,
    alpha: float = 0.3,
    beta: float = 0.7,
    gamma: float = 0.75,
    smooth: float = 1.0,
) -> Tensor:
    """Each class's Tversky loss to the power gamma (Abraham & Khan 2019, whose 1/gamma = 4/3 is our .75)."""

    def powered(p: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
        return _tversky(p, truth, valid, alpha, beta, smooth).clamp_min(1e-12) ** gamma

    return _foreground(logits, target, ignore, powered)


def lovasz(logits: Tensor, target: Tensor, ignore: int | None = None) -> Tensor:
    """The Lovasz extension of one minus IoU (Berman et al. 2018, "The Lovasz-Softmax loss", eq. 11)."""
    return _foreground(logits, target, ignore, _lovasz)


LOSSES: dict[str, Callable[..., Tensor]] = {
    "cross_entropy": cross_entropy,
    "focal": focal,
    "dice": dice,
    "dice_ce": dice_ce,
    "tversky": tversky,
    "focal_tversky": focal_tversky,
    "lovasz": lovasz,
}


def build_loss(name: str, **options: Any) -> Loss:
    """The loss of that name with its options set; unknown names and options raise UsageError with the nearest right."""
    if name not in LOSSES:
        raise UsageError(f"no loss is called {name!r}{_nearest(name, LOSSES)}; there are: {', '.join(LOSSES)}")
    known = list(inspect.signature(LOSSES[name]).parameters)[3:]
    for option in options:
        if option not in known:
            listed = ", ".join(known) or "none"
            raise UsageError(f"loss {name} has no option {option!r}{_nearest(option, known)}; its options: {listed}")
    return functools.partial(LOSSES[name], **options)


def _nearest(word: str, known: Any) -> str:
    near = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _prepare(logits: Tensor, target: Tensor, ignore: int | None) -> tuple[Tensor, Tensor, Tensor]:
    """Finite logits of at least float32, targets with 0 where ignored, and the valid pixels (N, H, W) as numbers."""
    logits = (logits if logits.dtype == torch.float64 else logits.float()).clamp_min(_LOWEST)
    if ignore is None:
        return logits, target, logits.new_ones(target.shape)
    valid = target != ignore
    return logits, target.where(valid, 0), valid.to(logits.dtype)


def _mean(pixels: Tensor, valid: Tensor) -> Tensor:
    return (pixels * valid).sum((1, 2)) / valid.sum((1, 2)).clamp_min(1)


def _one_each(weights: Sequence[float], classes: int) -> list[float]:
    if len(weights) != classes:
        raise UsageError(f"loss option weights has {len(weights)} values for {classes} classes: give one a class")
    return list(weights)


def _foreground(
    logits: Tensor, target: Tensor, ignore: int | None, region_loss: Callable[[Tensor, Tensor, Tensor], Tensor]
) -> Tensor:
    """Mean of a region loss over the foreground classes present, plus the mean probability of the absent ones.

    region_loss gets probabilities, truth and validity (N, K-1, P), zero where a pixel is ignored, and gives (N, K-1).
    """
    logits, target, valid = _prepare(logits, target, ignore)
    classes = torch.arange(1, logits.shape[1], device=logits.device)
    valid = valid.flatten(1).unsqueeze(1)  # (N, 1, P)
    truth = (target.flatten(1).unsqueeze(1) == classes[:, None]).to(logits.dtype)  # (N, K-1, P); ignored: background
    p = logits.softmax(1)[:, 1:].flatten(2) * valid
    present = truth.sum(2) > 0  # (N, K-1)
    zero = p.new_zeros(())
    matched = region_loss(p, truth, valid).where(present, zero).sum(1) / present.sum(1).clamp_min(1)
    given = (p.sum(2) / valid.sum(2).clamp_min(1)).where(~present, zero).sum(1)
    return matched + given


def _tversky(p: Tensor, truth: Tensor, valid: Tensor, alpha: float, beta: float, smooth: float) -> Tensor:
    hit = (p * truth).sum(2)
    false, missed = p.sum(2) - hit, truth.sum(2) - hit
    return 1 - (hit + smooth) / (hit + alpha * false + beta * missed + smooth).clamp_min(1e-12)


def _lovasz(p: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
    # an ignored pixel has error 0 here and therefore sorts last, where it changes nothing
    errors, order = (truth - p).abs().sort(dim=2, descending=True)
    ranked = truth.gather(2, order)
    total = truth.sum(2, keepdim=True)
    jaccard = 1 - (total - ranked.cumsum(2)) / (total + (1 - ranked).cumsum(2)).clamp_min(1e-12)
    slopes = torch.cat([jaccard[..., :1], jaccard[..., 1:] - jaccard[..., :-1]], 2)
    return (errors * slopes).sum(2)
