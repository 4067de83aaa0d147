"""Versions by name, and the forgetting that a matrix shows."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from seamwise.app.actor import SYSTEM, Actor, ForbiddenError
from seamwise.app.app import App
from seamwise.app.models import find_version, forgetting_table, forgotten, loader, read_file
from seamwise.continual import metrics
from seamwise.errors import NotFoundError
from seamwise.storage.database import reading, writing
from seamwise.storage.tables import ModelVersion, Role
from tests.app.versions import add_version
from tests.serving.tiny import picture, segmenter


@pytest.mark.parametrize(
    "name", ["", "welds", "welds/", "welds/1", "welds/-1", "welds/1/2", "welds/" + "9" * 30, "/1", "welds/\u0661"]
)
def test_other_names_are_no_versions(app: App, name: str) -> None:
    with reading(app.database) as session, pytest.raises(NotFoundError, match="LINE/NUMBER"):
        find_version(session, name)


def test_versions_that_share_a_file_are_loaded_as_what_they_are(app: App, tmp_path: Path) -> None:
    one, other = add_version(app, "one", seed=1), add_version(app, "other", seed=2)
    with writing(app.database) as session:  # as for lines of another rule whose first rounds are alike
        session.get_one(ModelVersion, other.id).serving_sha256 = one.serving_sha256
    load, x = loader(app, tmp_path), picture(1, 20, 20)
    for name, seed in (("one/1", 1), ("other/1", 2)):
        assert torch.equal(load(name).engine.predict(x), segmenter(seed=seed).predict(x))


def test_files_that_may_hold_pixels_take_a_trainer(app: App) -> None:
    add_version(app)
    for role, name in ((Role.VIEWER, "model.safetensors"), (Role.TRAINER, "serving.safetensors")):
        stored, content = read_file(app, Actor("key/1", role), "welds/1", name)
        assert len(b"".join(content)) == stored.size
    for name in ("serving.safetensors", "state.safetensors"):
        with pytest.raises(ForbiddenError, match="role trainer"):
            read_file(app, Actor("key/1", Role.INSPECTOR), "welds/1", name)


def test_a_line_without_a_version_has_no_table(app: App) -> None:
    with pytest.raises(NotFoundError, match="no version yet"):
        forgetting_table(app, SYSTEM, "welds")


@pytest.mark.parametrize(
    "R",
    [
        [[0.8, None, None], [0.6, 0.7, None], [0.65, 0.4, 0.9]],
        [[0.8, 0.1, 0.1], [0.6, 0.7, 0.2], [0.55, 0.6, 0.8]],  # evaluated on domains not learned yet, too
        [[0.5, 0.1], [0.5, 0.6]],
        [[0.9, 0.1], [0.2, 0.6]],
    ],
)
def test_forgetting_is_that_of_the_literature(R: list[list[float | None]]) -> None:
    found = forgotten(R, range(len(R)))
    assert found[-1] is None
    known = [value for value in found if value is not None]
    assert sum(known) / len(known) == pytest.approx(metrics.forgetting(R))


def test_a_domain_learned_twice_counts_from_its_best() -> None:
    R = [[0.5, None], [0.4, 0.7], [0.9, 0.6], [0.8, 0.5]]
    assert forgotten(R, (0, 1)) == (pytest.approx(0.1), pytest.approx(0.2))
    assert forgotten([[0.5, None]], (0, 0)) == (None, None)
    assert forgotten([[0.5], [None]], (0,)) == (None,)
