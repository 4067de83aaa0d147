"""Predictions: answered, sorted into a domain, kept by policy, stored while there is a store."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pytest
import torch
from sqlalchemy import func, select

from seamwise.app import live, predictions
from seamwise.app.actor import SYSTEM, Actor, ForbiddenError
from seamwise.app.annotations import annotate
from seamwise.app.app import App
from seamwise.app.guessing import Sorted, refresh_references
from seamwise.app.images import ImageAbout, delete_image, receive
from seamwise.app.limits import TooLargeError, WrongTypeError
from seamwise.app.predictions import Answer, PredictionAbout, Predictor, keeps
from seamwise.errors import BadInputError, NotFoundError
from seamwise.serving import NotServingError, Server, mask_of
from seamwise.settings import Settings
from seamwise.storage.database import reading
from seamwise.storage.faults import UnavailableError
from seamwise.storage.tables import Image, ImageFeatures, Origin, Prediction, Role, Source, StoredObject
from seamwise.vision.images import read_mask, write_image
from seamwise.vision.png import encode_png
from tests.app.pictures import INSPECTOR, make_domain
from tests.app.versions import add_version, serve
from tests.serving.tiny import CLASSES


def film(seed: int = 0, level: int = 128, shape: tuple[int, int] = (70, 90)) -> bytes:
    """A grey picture of a domain that is told by its level."""
    noise = np.random.default_rng(seed).normal(level, 12, (*shape, 1))
    return encode_png(noise.clip(0, 255).astype(np.uint8))


def fill(app: App, name: str, level: int, images: int = 12) -> None:
    """A domain of films of that level, and its reference."""
    make_domain(app, name, CLASSES)
    for seed in range(images):
        about = ImageAbout(domain=name, weld=f"{name}-{seed}")
        receive(app, INSPECTOR, film(seed + 100 * level, level), about)
    refresh_references(app)


@pytest.fixture
def server(app: App, tmp_path: Path) -> Iterator[Server]:
    """Serves the first version of the line `welds`."""
    serve(app, add_version(app))
    server = live.open_server(app, tmp_path / "cache")
    server.swap("welds/1")
    yield server
    server.close()


@pytest.fixture
def predictor(app: App, server: Server) -> Predictor:
    return Predictor(app, server)


def asked(predictor: Predictor, tmp_path: Path, content: bytes, **about: Any) -> Answer:
    path = tmp_path / "sent"
    path.write_bytes(content)
    return predictor.predict(INSPECTOR, path, PredictionAbout(**about))[0]


@pytest.mark.parametrize("shape", [(1, 1), (20, 31), (70, 90)])
def test_the_mask_is_the_versions_own_answer(predictor: Predictor, tmp_path: Path, shape: tuple[int, int]) -> None:
    path = tmp_path / "film.png"
    path.write_bytes(film(shape=shape))
    answer, mask = predictor.predict(INSPECTOR, path, PredictionAbout())
    with predictor.server.pin() as engine:  # type: ignore[union-attr]
        p = engine.probabilities(path)
    (tmp_path / "mask.png").write_bytes(mask)
    ids = read_mask(tmp_path / "mask.png", 3)
    assert np.array_equal(ids, mask_of(p))
    assert answer.version == "welds/1"
    assert (answer.summary["height"], answer.summary["width"]) == shape
    assert predictions.read_mask_file(predictor.app, INSPECTOR, answer.id or 0) == mask
    listed = answer.summary["defects"]
    assert [d["area_px"] for d in listed] == sorted((d["area_px"] for d in listed), reverse=True)
    assert sum(d["area_px"] for d in listed) <= int((ids > 0).sum())
    for defect in listed:
        left, top, width, height = defect["box"]
        kind = CLASSES.index(defect["class"])
        inside = ids[top : top + height, left : left + width] == kind
        assert inside[0].any()
        assert inside[:, 0].any()
        assert inside.sum() >= defect["area_px"]
        assert float(p[kind].max()) + 1e-4 >= defect["probability"] >= 1 / 3 - 1e-4


def test_what_is_told_is_kept(predictor: Predictor, app: App, tmp_path: Path) -> None:
    make_domain(app, "steel", CLASSES, pitch_mm=0.2)
    about = {"domain": "steel", "weld": "W7", "captured_at": "2026-01-02T03:04:05Z", "filename": "../../W7.png"}
    answer = asked(predictor, tmp_path, film(), **about)
    assert answer.summary["domain"] == {"name": "steel", "how": "told", "likely": None, "confidence": 1.0}
    assert answer.summary["pitch_mm"] == 0.2  # the domain's: neither told nor in the file
    for defect in answer.summary["defects"]:
        assert defect["area_mm2"] == pytest.approx(defect["area_px"] * 0.04)
    with reading(app.database) as session:
        image = session.get_one(Image, answer.image)
        assert (image.source, image.weld, image.filename) == (Source.ONLINE, "W7", "W7.png")
        assert image.modality == "radiography"
        assert image.captured_at is not None
        assert image.side is not None
        assert session.get_one(ImageFeatures, image.id).features == answer.summary["features"]
    assert predictions.get_prediction(app, INSPECTOR, answer.id or 0) == answer
    assert asked(predictor, tmp_path, film(1), domain="steel", pitch_mm=0.5).summary["pitch_mm"] == 0.5


def test_an_image_deleted_while_it_is_answered_leaves_no_mask(
    predictor: Predictor, app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = receive(app, SYSTEM, film(), ImageAbout())
    summarise = predictions.summarise

    def deleted(*args: Any, **more: Any) -> Any:
        delete_image(app, SYSTEM, image.id)
        return summarise(*args, **more)

    monkeypatch.setattr(predictions, "summarise", deleted)
    answer = asked(predictor, tmp_path, film())
    assert answer.image is None
    with pytest.raises(NotFoundError, match="its mask was deleted with its image"):
        predictions.read_mask_file(app, INSPECTOR, answer.id or 0)


def test_the_pitch_is_read_from_the_file(predictor: Predictor, tmp_path: Path) -> None:
    write_image(tmp_path / "film.png", np.zeros((5, 5), np.uint8), 0.25)
    answer = asked(predictor, tmp_path, (tmp_path / "film.png").read_bytes())
    assert answer.summary["pitch_mm"] == pytest.approx(0.25)


def test_a_picture_of_a_domain_made_just_now_is_known(predictor: Predictor, app: App, tmp_path: Path) -> None:
    """The domains that are remembered lack it."""
    asked(predictor, tmp_path, film(1, 60))
    make_domain(app, "fresh", CLASSES)
    receive(app, INSPECTOR, film(7, 60), ImageAbout(domain="fresh"))
    said = asked(predictor, tmp_path, film(7, 60)).summary["domain"]
    assert (said["name"], said["how"]) == ("fresh", "known")


def test_domains_are_guessed_and_strangers_wait(predictor: Predictor, app: App, tmp_path: Path) -> None:
    fill(app, "dark", 60)
    fill(app, "light", 190)
    dark = asked(predictor, tmp_path, film(7, 60))
    assert dark.summary["domain"]["name"] == "dark"
    assert dark.summary["domain"]["how"] == "guessed"
    assert dark.summary["domain"]["confidence"] > 0.8
    known = asked(predictor, tmp_path, film(7, 60))
    assert known.summary["domain"]["how"] == "known"  # the same picture came before
    assert known.image == dark.image
    strange = asked(predictor, tmp_path, film(7, 128))
    assert strange.summary["domain"]["name"] is None
    assert strange.summary["domain"]["how"] == "unassigned"
    with reading(app.database) as session:
        guessed, waiting = session.get_one(Image, dark.image), session.get_one(Image, strange.image)
        assert guessed.guessed is not None
        assert guessed.guessed["domain"]["name"] == "dark"
        assert guessed.guessed["modality"]["name"] == "radiography"
        assert waiting.domain_id is None
        assert waiting.guessed is not None
        assert waiting.guessed["domain"]["unlike_all"] is True
        rows = session.scalars(select(Prediction).order_by(Prediction.id)).all()
        assert [row.watched for row in rows] == [False, False, True]  # drift is a domain's


def test_a_told_modality_narrows_the_guess(predictor: Predictor, app: App, tmp_path: Path) -> None:
    fill(app, "dark", 60)
    assert asked(predictor, tmp_path, film(7, 60), modality="RADIOGRAPHY").summary["domain"]["name"] == "dark"
    other = asked(predictor, tmp_path, film(8, 60), modality="magnetic particle")
    assert other.summary["domain"] == {"name": None, "how": "unassigned", "likely": None, "confidence": 0.0}


def test_without_any_domain_all_wait(predictor: Predictor, tmp_path: Path) -> None:
    assert asked(predictor, tmp_path, film()).summary["domain"]["how"] == "unassigned"


def test_a_new_domain_is_known_at_once(predictor: Predictor, app: App, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"'steel'.*make it first"):
        asked(predictor, tmp_path, film(), domain="steel")
    make_domain(app, "steel", CLASSES)
    assert asked(predictor, tmp_path, film(), domain="steel").summary["domain"]["name"] == "steel"


SURE, UNSURE = Sorted("steel", "told"), Sorted(None, "unassigned")
SHA = "0" * 13 + "f" * 51


@pytest.mark.parametrize(
    ("policy", "sha256", "confidence", "sort", "kept"),
    [
        ("all", SHA, 1.0, SURE, True),
        ("none", SHA, 0.5, UNSURE, False),
        ("uncertain", SHA, 0.89, SURE, True),
        ("uncertain", SHA, 0.9, SURE, False),
        ("uncertain", SHA, 1.0, UNSURE, True),
        ("sampled", SHA, 1.0, SURE, True),
        ("sampled", "2" * 64, 1.0, SURE, False),
    ],
)
def test_what_the_policies_keep(policy: Any, sha256: str, confidence: float, sort: Sorted, kept: bool) -> None:
    settings = Settings(keep_predictions=policy, sample_rate=0.1, uncertain_below=0.9)
    assert keeps(settings, sha256, confidence, sort) is kept


@pytest.mark.parametrize(("rate", "share"), [(0.0, 0.0), (0.25, 0.25), (1.0, 1.0)])
def test_samples_have_the_wished_share(rate: float, share: float) -> None:
    settings = Settings(keep_predictions="sampled", sample_rate=rate)
    hashes = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(2000)]
    assert np.mean([keeps(settings, sha256, 1.0, SURE) for sha256 in hashes]) == pytest.approx(share, abs=0.03)


def test_what_is_not_kept_is_still_answered_and_has_its_mask(app: App, server: Server, tmp_path: Path) -> None:
    none = replace(app, settings=app.settings.model_copy(update={"keep_predictions": "none"}))
    answer = asked(Predictor(none, server), tmp_path, film())
    assert answer.image is None
    assert predictions.read_mask_file(app, INSPECTOR, answer.id or 0)
    with reading(app.database) as session:
        assert session.scalar(select(func.count()).select_from(Image)) == 0


def test_a_deleted_picture_is_answered_and_not_taken_in_again(predictor: Predictor, app: App, tmp_path: Path) -> None:
    first = asked(predictor, tmp_path, film())
    delete_image(app, SYSTEM, first.image or 0)
    again = asked(predictor, tmp_path, film())
    assert again.image is None
    assert again.id is not None
    sha256 = hashlib.sha256(film()).hexdigest()
    with reading(app.database) as session:
        assert session.get(StoredObject, sha256) is None


def test_deleting_a_picture_deletes_its_predicted_masks(predictor: Predictor, app: App, tmp_path: Path) -> None:
    make_domain(app, "steel", CLASSES)
    none = replace(app, settings=app.settings.model_copy(update={"keep_predictions": "none"}))
    unkept = asked(Predictor(none, predictor.server), tmp_path, film(), pitch_mm=1.0)
    first = asked(predictor, tmp_path, film(), domain="steel")
    other = asked(predictor, tmp_path, film(1), domain="steel")
    with reading(app.database) as session:
        shared, kept = (session.get_one(Prediction, answer.id).mask_sha256 for answer in (first, other))
    assert shared != kept
    same = predictions.read_mask_file(app, INSPECTOR, first.id or 0)
    annotate(app, INSPECTOR, other.image or 0, same, None, Origin.DRAWN)  # another picture's, and stays
    delete_image(app, SYSTEM, first.image or 0)
    for answer in (first, unkept):
        with pytest.raises(NotFoundError, match="its mask was deleted with its image"):
            predictions.read_mask_file(app, INSPECTOR, answer.id or 0)
    assert predictions.read_mask_file(app, INSPECTOR, other.id or 0)
    with reading(app.database) as session:
        assert session.get(StoredObject, shared or "") is not None
    delete_image(app, SYSTEM, other.image or 0)
    with reading(app.database) as session:
        assert session.get(StoredObject, shared or "") is None
        assert session.get(StoredObject, kept or "") is None
        rows = {row.key for row in session.query(StoredObject)}
    assert {found.key for found in app.objects.listed()} == rows


@pytest.mark.parametrize("away", ["database", "objects"])
def test_while_a_store_is_away_it_is_answered_and_not_stored(
    predictor: Predictor, app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, away: str
) -> None:
    make_domain(app, "steel", CLASSES)
    asked(predictor, tmp_path, film())

    def gone(*_: Any, **__: Any) -> Any:
        raise UnavailableError("away")

    if away == "database":
        monkeypatch.setattr(predictions, "reading", gone)
        monkeypatch.setattr(predictions, "writing", gone)
        monkeypatch.setattr("seamwise.app.guessing.reading", gone)
        predictor.guesser._read_at = -1e9
    else:
        monkeypatch.setattr(type(app.objects), "put", gone)
    answer = asked(predictor, tmp_path, film(1), domain="steel")
    assert (answer.id, answer.image, answer.version) == (None, None, "welds/1")
    monkeypatch.undo()
    assert asked(predictor, tmp_path, film(1), domain="steel").id is not None


@pytest.mark.parametrize(
    ("content", "error", "told"),
    [
        (b"", BadInputError, "film.png: the file is empty"),
        (b"GIF89a...", WrongTypeError, "film.png: it is not a PNG"),
        (film()[:200], BadInputError, "film.png"),
        (film(shape=(300, 300)), TooLargeError, "film.png: 300 x 300 pixels"),
    ],
)
def test_what_is_no_picture_is_refused_and_leaves_nothing(
    predictor: Predictor, app: App, tmp_path: Path, content: bytes, error: type[Exception], told: str
) -> None:
    small = Predictor(replace(app, settings=app.settings.model_copy(update={"max_pixels": 80_000})), predictor.server)
    keys = sorted(found.key for found in app.objects.listed())
    with pytest.raises(error, match=told) as raised:
        asked(small, tmp_path, content, filename="film.png")
    assert str(tmp_path) not in str(raised.value)
    assert sorted(found.key for found in app.objects.listed()) == keys
    with reading(app.database) as session:
        assert session.scalar(select(func.count()).select_from(Prediction)) == 0


def test_colour_goes_to_a_grey_network_and_other_depths_too(predictor: Predictor, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for pixels in (rng.integers(0, 256, (20, 20, 3)).astype(np.uint8), rng.integers(0, 65536, (20, 20)).astype("u2")):
        write_image(tmp_path / "film.png", pixels)
        assert asked(predictor, tmp_path, (tmp_path / "film.png").read_bytes()).version == "welds/1"


def test_who_may_predict_and_with_what(predictor: Predictor, app: App, tmp_path: Path) -> None:
    path = tmp_path / "film.png"
    path.write_bytes(film())
    with pytest.raises(ForbiddenError, match="inspector"):
        predictor.predict(Actor("key/1", Role.VIEWER), path, PredictionAbout())
    with pytest.raises(NotServingError, match="seamwise serve"):
        Predictor(app, None).predict(INSPECTOR, path, PredictionAbout())


def test_no_more_networks_run_at_once_than_set(app: App, server: Server, tmp_path: Path) -> None:
    running, most, lock = 0, 0, Lock()
    with server.pin() as engine:
        network = engine.network

    class Counting(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            nonlocal running, most
            with lock:
                running += 1
                most = max(most, running)
            try:
                return network(x)  # type: ignore[no-any-return]
            finally:
                with lock:
                    running -= 1

    two = Predictor(replace(app, settings=app.settings.model_copy(update={"predict_threads": 2})), server)
    paths = []
    for number in range(6):
        paths.append(tmp_path / f"{number}.png")
        paths[-1].write_bytes(film(number))
    object.__setattr__(engine, "network", Counting())
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda path: two.predict(INSPECTOR, path, PredictionAbout())[0], paths))
    assert most <= 2
    assert len({answer.id for answer in answers}) == 6
