"""All networks keep the same promises: any size, rebuilding from the specification, gradients, independence."""

import builtins
import itertools
import json
import sys
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from seamwise.errors import UsageError
from seamwise.vision.networks import NETWORKS, Network, build_network, count_parameters, network_options
from seamwise.vision.networks.layers import normalisation

# Small enough for a test: name -> options.
SMALL: dict[str, dict[str, Any]] = {
    "unet": {"width": 8, "depth": 2},
    "fcn": {"width": 8, "widest": 32},
    "segnet": {"width": 8, "depth": 2},
    "attention_unet": {"width": 4, "depth": 2},
    "monai_unet": {"width": 4, "depth": 2},
    "unet_plus_plus": {"width": 4},
    "segresnet": {"width": 8},
    "unetr": {"tile": 32, "width": 4, "hidden": 12, "mlp": 12, "heads": 2},
    "swin_unetr": {"width": 12},
}
OWN = ("unet", "fcn", "segnet")
OWN_VARIANTS = [
    *(
        (name, {**SMALL[name], "norm": norm, "residual": residual})
        for name, norm, residual in itertools.product(OWN, ("group", "batch", "none"), (False, True))
    ),
    ("unet", {"width": 8, "depth": 2, "stem": "full"}),
    ("unet", {"width": 16, "depth": 1, "residual": True, "dropout": 0.3}),
]


def build(
    name: str, channels: int = 2, classes: int = 3, seed: int = 0, options: Mapping[str, Any] | None = None
) -> Network:
    torch.manual_seed(seed)
    return build_network(name, channels, classes, **(SMALL[name] if options is None else options))


def picture(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_every_network_is_tested() -> None:
    assert tuple(SMALL) == NETWORKS


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("channels", [1, 4])
def test_any_size_comes_back_as_logits_of_that_size(name: str, channels: int) -> None:
    network = build(name, channels, 3).eval()
    for size in ((1, 1), (2, 37), (33, 31), (32, 64)):
        logits, features = network.features(picture(2, channels, *size))
        assert logits.shape == (2, 3, *size)
        assert logits.isfinite().all()
        assert features.shape[0] == 2
        assert features.dim() == 2
        torch.testing.assert_close(network(picture(2, channels, *size)), logits, rtol=0, atol=0)


@pytest.mark.parametrize(("name", "options"), OWN_VARIANTS)
def test_own_networks_learn_from_tiny_pictures(name: str, options: dict[str, Any]) -> None:
    network = build(name, 3, 2, options=options).train()
    for size in ((1, 1), (5, 3)):
        assert network(picture(1, 3, *size)).isfinite().all()


@pytest.mark.parametrize("name", NETWORKS)
def test_the_specification_rebuilds_the_network(name: str) -> None:
    network = build(name).eval()
    spec = json.loads(json.dumps(network.spec))
    assert set(spec) == {"name", "channels", "classes", *network_options(name)}
    torch.manual_seed(99)
    again = build_network(**spec).eval()
    assert again.spec == network.spec
    assert list(again.state_dict()) == list(network.state_dict())
    x = picture(2, 2, 40, 24)
    assert not torch.equal(again(x), network(x))
    again.load_state_dict(network.state_dict())
    assert torch.equal(again(x), network(x))


@pytest.mark.parametrize("name", NETWORKS)
def test_parameters_are_counted_without_making_them(name: str) -> None:
    state = torch.get_rng_state()
    count = count_parameters(name, 2, 3, **SMALL[name])
    assert torch.equal(torch.get_rng_state(), state)
    assert count == sum(p.numel() for p in build(name).parameters())


@pytest.mark.parametrize("width", [10**9, 10**30])
def test_sizes_that_no_memory_could_hold_are_refused(width: int) -> None:
    with pytest.raises(UsageError, match="network unet cannot be built"):
        count_parameters("unet", 1, 2, width=width)


@pytest.mark.parametrize("name", NETWORKS)
def test_initial_values_follow_the_seed(name: str) -> None:
    one, two, other = (build(name, seed=s).state_dict() for s in (1, 1, 2))
    assert all(torch.equal(one[key], two[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize(("name", "options"), [*((n, SMALL[n]) for n in NETWORKS), *OWN_VARIANTS])
def test_the_gradient_reaches_every_trainable_parameter(name: str, options: dict[str, Any]) -> None:
    network = build(name, options=options).train()
    logits = network(picture(2, 2, 64, 64))
    trainable = {key: p for key, p in network.named_parameters() if p.requires_grad}
    gradients = torch.autograd.grad((logits * picture(*logits.shape, seed=1)).sum(), list(trainable.values()))
    silent = [key for key, gradient in zip(trainable, gradients, strict=True) if not gradient.any()]
    # a bias before a normalisation over the same values changes nothing, by construction
    assert [key for key in silent if not key.endswith("bias") or name in OWN] == []


@pytest.mark.parametrize(
    ("name", "options"), [(n, o) for n, o in OWN_VARIANTS if o.get("norm") != "batch" and "dropout" not in o]
)
def test_a_sample_does_not_depend_on_the_others(name: str, options: dict[str, Any]) -> None:
    network = build(name, options=options).train()
    x = picture(3, 2, 32, 32)
    other = torch.cat([x[:1], 100 * picture(2, 2, 32, 32, seed=1)])
    assert torch.equal(network(x)[0], network(other)[0])


@pytest.mark.parametrize("name", NETWORKS)
def test_channels_last_gives_the_same_numbers(name: str) -> None:
    network = build(name, 3, 2).double().eval()
    x = picture(2, 3, 40, 33).double()
    expected, expected_features = network.features(x)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    logits, features = network.features(x.to(memory_format=torch.channels_last))
    torch.testing.assert_close(logits, expected, rtol=0, atol=1e-9)
    torch.testing.assert_close(features, expected_features, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", OWN)
def test_channels_last_in_float32_agrees_within_a_hundred_thousandth(name: str) -> None:
    network = build(name, 3, 2, options={}).eval()
    x = picture(2, 3, 64, 64)
    expected = network(x)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    torch.testing.assert_close(network(x.to(memory_format=torch.channels_last)), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_bfloat16_autocast_trains(name: str) -> None:
    network = build(name, 3, 2).train()
    with torch.autocast("cpu", torch.bfloat16):
        logits, features = network.features(picture(2, 3, 64, 64))
    assert features.dtype == torch.float32
    for gradient in torch.autograd.grad(logits.float().sum(), [p for p in network.parameters() if p.requires_grad]):
        assert gradient.isfinite().all()


@pytest.mark.parametrize(("name", "prior"), list(itertools.product(OWN, [0.02, 0.2])))
def test_the_answer_starts_at_the_prior(name: str, prior: float) -> None:
    network = build(name, 1, 4, options={**SMALL[name], "prior": prior})
    p = network(picture(4, 1, 64, 64)).softmax(1).mean((0, 2, 3))
    assert p[1:].sum().item() == pytest.approx(prior, rel=0.3)
    assert p[1:].max() < 1.5 * p[1:].min()


def test_no_prior_is_even_odds() -> None:
    p = build("unet", 1, 4, options={"width": 8, "prior": None})(picture(2, 1, 32, 32)).softmax(1).mean((0, 2, 3))
    torch.testing.assert_close(p, torch.full((4,), 0.25), rtol=0.1, atol=0)


def test_features_are_the_means_of_the_maps_that_the_head_reads() -> None:
    network = build("unet", 1, 2, options={"width": 8, "stem": "full"}).eval()
    read: list[Tensor] = []
    head = network.get_submodule("head")
    head.register_forward_pre_hook(lambda module, inputs: read.append(inputs[0]))
    logits, features = network.features(picture(2, 1, 32, 32))
    torch.testing.assert_close(features, read[0].mean((2, 3)))
    torch.testing.assert_close(head(read[0]), logits)


def test_dropout_only_while_training() -> None:
    network = build("unet", options={"width": 8, "depth": 1, "dropout": 0.5})
    x = picture(1, 2, 16, 16)
    assert not torch.equal(network.train()(x), network(x))
    assert torch.equal(network.eval()(x), network(x))


def test_segnet_puts_maxima_back_where_they_were() -> None:
    """Between the pooling and the decoder each 2x2 cell holds its maximum in place, and zeros."""
    network = build("segnet", 1, 2, options={"width": 8, "depth": 1}).eval()
    before, after = [], []
    network.get_submodule("encoder.0").register_forward_hook(lambda module, inputs, output: before.append(output))
    network.get_submodule("decoder.0").register_forward_pre_hook(lambda module, inputs: after.append(inputs[0]))
    network(picture(1, 1, 6, 6))
    cells = before[0].unfold(2, 2, 2).unfold(3, 2, 2).flatten(4)
    back = after[0].unfold(2, 2, 2).unfold(3, 2, 2).flatten(4)
    assert cells.std() > 0.1
    assert torch.equal(back, torch.where(cells == cells.amax(-1, keepdim=True), cells, 0.0))


def test_unetr_takes_pictures_larger_than_its_tile_as_tiles_side_by_side() -> None:
    network = build("unetr").eval()
    x = picture(2, 2, 64, 96)
    whole = network(x)
    for top, left in itertools.product((0, 32), (0, 32, 64)):
        part = network(x[:, :, top : top + 32, left : left + 32])
        torch.testing.assert_close(whole[:, :, top : top + 32, left : left + 32], part, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("channels", "groups"), [(1, 1), (8, 1), (16, 1), (24, 1), (32, 2), (40, 2), (48, 3), (256, 16)]
)
def test_groups_have_at_least_sixteen_channels_where_there_are_so_many(channels: int, groups: int) -> None:
    layer = normalisation("group", channels)
    assert isinstance(layer, nn.GroupNorm)
    assert layer.num_groups == groups


def test_wrong_names_and_options_say_the_right_ones() -> None:
    with pytest.raises(UsageError, match="did you mean 'unet'"):
        build_network("unett", 1, 2)
    with pytest.raises(UsageError, match="did you mean 'dropout'"):
        build_network("unet", 1, 2, dropuot=0.1)
    with pytest.raises(UsageError, match="its options: width, depth"):
        build_network("monai_unet", 1, 2, zzz=1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"width": 0},
        {"depth": 1.5},
        {"depth": True},
        {"depth": 11},
        {"norm": "layer"},
        {"stem": "quarter"},
        {"dropout": 1.0},
        {"dropout": "a lot"},
        {"prior": -0.1},
        {"residual": "yes"},
        {"channels": 0},
    ],
)
def test_wrong_values_are_named(wrong: dict[str, Any]) -> None:
    ((option, value),) = wrong.items()
    with pytest.raises(UsageError, match=f"{option}={value!r}"):
        build_network(**{"name": "unet", "channels": 1, "classes": 2, **wrong})


@pytest.mark.parametrize(
    ("name", "wrong"), [("segresnet", {"width": 12}), ("swin_unetr", {"width": 16}), ("unetr", {"tile": 40})]
)
def test_sizes_that_monai_cannot_build_are_named(name: str, wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError, match=r"multiple of (8|12|16)"):
        build_network(name, 1, 2, **wrong)


def test_without_monai_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.split(".")[0] == "monai":
            raise ImportError("No module named 'monai'")
        return real(name, *args, **kwargs)

    for module in [m for m in sys.modules if m.split(".")[0] == "monai"]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UsageError, match=r"pip install seamwise\[monai\]"):
        build_network("attention_unet", 1, 2)
    build_network("unet", 1, 2)
