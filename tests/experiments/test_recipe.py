from typing import Any

import pytest

from seamwise.errors import UsageError
from seamwise.experiments.plain_yaml import load_yaml
from seamwise.experiments.recipe import Recipe
from seamwise.experiments.runs import Run
from seamwise.experiments.streams import DomainStream
from tests.experiments.tiny import OPTIONS, make_stream


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> DomainStream:
    return make_stream(tmp_path_factory.mktemp("domains"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stepps": 3}, "did you mean steps"),
        ({"steps": 0}, "steps must be 1 or more"),
        ({"steps": "many"}, "steps must be int"),
        ({"lr": float("nan")}, "lr must be above 0"),
        ({"lr": True}, "lr must be float"),
        ({"overlap": 1.0}, "overlap must be"),
        ({"channels": 0}, "channels must be"),
        ({"channels": 4}, "channels must be"),
        ({"optimizer": "adagrad"}, "one of adam, adamw, sgd"),
        ({"schedule": "linear"}, "constant or cosine"),
        ({"clip": 0}, "clip must be above 0"),
        ({"defect_share": 2}, "defect_share must be from 0 to 1"),
        ({"most_tiles": 0}, "most_tiles must be 1 or more"),
        ({"warmup": -1}, "warmup must be"),
        ({"weight_decay": -1}, "weight_decay must be"),
        ({"network": "unett"}, "did you mean 'unet'"),
        ({"network_options": "wide"}, "network_options must be Mapping"),
        ({"network_options": {"widht": 8}}, "did you mean 'width'"),
        ({"network_options": {1: 8}}, "network_options must be"),
        ({"loss": "dise"}, "did you mean 'dice'"),
        ({"loss_options": {"smoothe": 1}}, "did you mean 'smooth'"),
        ({"loss_options": {"smooth": "much"}}, "loss_options"),
        ({"augment": {"flipp": True}}, "did you mean flip"),
        ({"augment": {"zoom": "far"}}, "augment"),
        ({"augment": {"blur": 3.0}}, "blur"),
    ],
)
def test_values_that_cannot_be_used_are_refused_before_anything_begins(
    options: dict[str, Any], message: str, stream: DomainStream
) -> None:
    with pytest.raises(UsageError, match=message):
        Run(stream, Recipe.of(OPTIONS | options), "finetuning")


def test_numbers_without_a_point_are_numbers() -> None:
    assert load_yaml("{lr: 2e-3, c: 1E5, steps: 10, name: 2e, half: .5}") == {
        "lr": 0.002,
        "c": 1e5,
        "steps": 10,
        "name": "2e",
        "half": 0.5,
    }
