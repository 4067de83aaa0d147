import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seamwise.continual.catalogue import METHODS
from seamwise.errors import BadInputError, RefusedError, SeamwiseError, UsageError
from seamwise.experiments import checkpoint, run_folder
from seamwise.experiments.checkpoint import load_checkpoint, save_checkpoint
from seamwise.experiments.evaluation import count_domain
from seamwise.experiments.overlays import overlays_of
from seamwise.experiments.runs import Run, execute
from seamwise.experiments.streams import DomainStream, join_domains
from seamwise.vision.domain import read_domain
from seamwise.vision.scores import summarise
from seamwise.vision.segmenter import load_segmenter
from seamwise.vision.tensor_file import read_tensors
from tests.cli.kill_and_resume import differences
from tests.experiments.tiny import RECIPE, make_domain, make_run, make_stream


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> DomainStream:
    return make_stream(tmp_path_factory.mktemp("domains"))


def row_of(run: Run, folder: Path | None = None, **options: Any) -> dict[str, Any]:
    *_, last = execute(run, folder, **options)
    assert last.kind == "done"
    assert last.row is not None
    return last.row


@pytest.mark.parametrize("strategy", [*METHODS, "si+replay"])
def test_every_strategy_runs_and_is_scored_after_each_domain(strategy: str, stream: DomainStream) -> None:
    row = row_of(make_run(stream, strategy))
    lines = 1 if strategy in ("joint", "separate") else 2
    assert [len(line) for line in row["R"]] == [2] * lines
    assert all(0 <= score <= 1 for line in row["R"] for score in line)
    assert set(row["scores"]) == {"light", "dark"}
    assert all(scores["images"] == 1 for scores in row["scores"].values())
    assert (row["forgetting"] is None) == (lines == 1)
    assert json.loads(json.dumps(row)) == row


def test_frozen_never_moves_after_the_first_domain(stream: DomainStream, tmp_path: Path) -> None:
    R = row_of(make_run(stream, "frozen"), tmp_path / "frozen")["R"]
    assert R[0] == R[1]
    assert R[0] == row_of(make_run(stream))["R"][0]


def test_separate_models_of_domains_with_like_names_are_not_taken_for_each_other(tmp_path: Path) -> None:
    stream = make_stream(tmp_path, ("steel A", "steel-A"))
    *_, last = execute(make_run(stream, "separate"), tmp_path / "run")
    *_, bare = execute(make_run(stream, "separate"))
    assert last.row is not None
    assert bare.row is not None
    assert last.row["R"] == bare.row["R"]
    assert None not in last.row["R"][0]


def test_separate_models_are_scored_each_on_its_own_domain(stream: DomainStream, tmp_path: Path) -> None:
    run = make_run(stream, "separate")
    R = row_of(run, tmp_path)["R"]
    for place, stop in enumerate(stream.stops):
        segmenter = load_segmenter(tmp_path / f"{place}-{stop.name}-after-0-{stop.name}.safetensors")
        alone = summarise(count_domain(segmenter, stream, stop)).to_json()
        assert R[0][place] == alone[run.metric]
    assert overlays_of(run, tmp_path) == {}


def test_si_without_strength_is_finetuning_bit_for_bit(stream: DomainStream, tmp_path: Path) -> None:
    rows = [
        row_of(make_run(stream, strategy, **parameters), tmp_path / strategy)
        for strategy, parameters in (("finetuning", {}), ("si", {"c": 0.0}))
    ]
    assert rows[0]["R"] == rows[1]["R"]
    for name in ("after-0-light.safetensors", "after-1-dark.safetensors"):
        one, two = (read_tensors(tmp_path / s / name, "seamwise model")[0] for s in ("finetuning", "si"))
        assert all(one[key].equal(two[key]) for key in one)


def test_a_domain_without_validation_pictures_scores_none_there(tmp_path: Path) -> None:
    domains = [make_domain(tmp_path / "light"), make_domain(tmp_path / "dark", val=0, bright=False)]
    stream = join_domains([read_domain(folder) for folder in domains])
    row = row_of(replace(make_run(stream), split="val"))
    assert [line[1] for line in row["R"]] == [None, None]
    assert all(isinstance(line[0], float) for line in row["R"])


def test_domains_with_classes_of_their_own(tmp_path: Path) -> None:
    one = make_domain(tmp_path / "one", classes=("background", "crack"))
    two = make_domain(tmp_path / "two", classes=("background", "pore", "crack"), bright=False)
    stream = join_domains([read_domain(one), read_domain(two)], rule="union")
    assert stream.classes == ("background", "crack", "pore")
    assert stream.class_sets == {0: (0, 1), 1: (0, 1, 2)}
    row = row_of(make_run(stream, "si+replay"))
    assert len(row["scores"]["two"]["iou_per_class"]) == 3
    assert row["scores"]["one"]["iou_per_class"][2] is None  # neither shown there nor ever called


@pytest.mark.parametrize("stop_after", [1, 7, 8, 9, 15])
def test_a_run_stopped_anywhere_goes_on_bit_for_bit(stop_after: int, stream: DomainStream, tmp_path: Path) -> None:
    recipe = replace(RECIPE, network_options={**RECIPE.network_options, "dropout": 0.2})
    run = make_run(stream, "si+replay", recipe, capacity=4)
    row_of(run, tmp_path / "whole")
    events = execute(run, tmp_path / "cut", checkpoint_every_s=0)
    for _ in range(stop_after):
        next(events)
    events.close()  # type: ignore[attr-defined]
    row_of(run, tmp_path / "cut")
    assert differences(tmp_path / "whole", tmp_path / "cut") == []


def test_runs_that_differ_are_told_apart(stream: DomainStream, tmp_path: Path) -> None:
    run = make_run(stream, "si+replay")
    row_of(run, tmp_path / "a")
    row_of(replace(run, seed=1), tmp_path / "b")
    found = differences(tmp_path / "a", tmp_path / "b")
    assert "row: seed" in found
    assert any("after-1-dark.safetensors" in name for name in found)
    assert any("strategy" in name for name in found)


def test_a_finished_run_is_not_run_again(stream: DomainStream, tmp_path: Path) -> None:
    run = make_run(stream)
    first = row_of(run, tmp_path)
    events = list(execute(run, tmp_path))
    assert [event.kind for event in events] == ["done"]
    assert events[0].row is not None
    assert events[0].row["R"] == first["R"]


def test_checkpoints_come_as_often_as_asked(stream: DomainStream, tmp_path: Path) -> None:
    for every, place in ((0.0, 3), (1000.0, None)):
        folder = tmp_path / str(every)
        events = execute(make_run(stream), folder, checkpoint_every_s=every)
        for _ in range(3):
            next(events)
        events.close()  # type: ignore[attr-defined]
        path = folder / "checkpoint.safetensors"
        step = load_checkpoint(path)["learner"]["position"]["step"] if path.exists() else None
        assert step == place


def test_a_folder_of_another_run_is_refused(stream: DomainStream, tmp_path: Path) -> None:
    row_of(make_run(stream), tmp_path)
    with pytest.raises(RefusedError, match="other settings \\(parameters, strategy\\)") as caught:
        row_of(make_run(stream, "si"), tmp_path)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize("content", ["{", "[1]", "\udcff"])
def test_a_damaged_run_description(content: str, stream: DomainStream, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(BadInputError, match=r"run.json.*choose another folder"):
        row_of(make_run(stream), tmp_path)


def halfway(run: Run, folder: Path) -> Path:
    """The checkpoint of a run cut off after four steps."""
    events = execute(run, folder, checkpoint_every_s=0)
    for _ in range(4):
        next(events)
    events.close()  # type: ignore[attr-defined]
    return folder / "checkpoint.safetensors"


@pytest.mark.parametrize("keep", [0, 7, 500, -1])
def test_a_damaged_checkpoint(keep: int, stream: DomainStream, tmp_path: Path) -> None:
    path = halfway(make_run(stream, "si"), tmp_path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(BadInputError, match=r"checkpoint.safetensors") as caught:
        row_of(make_run(stream, "si"), tmp_path)
    assert "afresh" in str(caught.value)


@pytest.mark.parametrize("hurt", ["learner", "progress", "position", "strategy"])
def test_a_checkpoint_with_a_part_missing(hurt: str, stream: DomainStream, tmp_path: Path) -> None:
    path = halfway(make_run(stream, "si"), tmp_path)
    state = load_checkpoint(path)
    del (state if hurt in state else state["learner"])[hurt]
    save_checkpoint(path, state)
    with pytest.raises(BadInputError, match=r"does not fit this run.*delete it"):
        row_of(make_run(stream, "si"), tmp_path)


def test_a_checkpoint_of_another_format(stream: DomainStream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(stream)
    halfway(run, tmp_path)
    monkeypatch.setattr(checkpoint, "FORMAT", 2)
    with pytest.raises(BadInputError, match="in format 1, this one reads 2"):
        row_of(run, tmp_path)


def test_a_checkpoint_of_another_network(stream: DomainStream, tmp_path: Path) -> None:
    wide = replace(RECIPE, network_options={"width": 8, "depth": 2, "prior": None})
    path = halfway(make_run(stream, "si", wide), tmp_path / "wide")
    run = make_run(stream, "si")
    halfway(run, tmp_path / "narrow").write_bytes(path.read_bytes())
    with pytest.raises(RefusedError, match="another network"):
        row_of(run, tmp_path / "narrow")


def test_a_checkpoint_of_another_machine_needs_leave(stream: DomainStream, tmp_path: Path) -> None:
    run = make_run(stream)
    path = halfway(run, tmp_path)
    state = load_checkpoint(path)
    state["learner"]["environment"]["instructions"] = "ABACUS"
    save_checkpoint(path, state)
    with pytest.raises(RefusedError, match=r"ABACUS then.*--allow-other-machine"):
        row_of(run, tmp_path)
    assert row_of(run, tmp_path, allow_other_machine=True)["R"] == row_of(run)["R"]


def test_a_loss_that_is_no_number_ends_the_run_cleanly(stream: DomainStream, tmp_path: Path) -> None:
    run = make_run(stream, recipe=replace(RECIPE, lr=1e30, warmup=0.0, clip=None))
    with pytest.raises(SeamwiseError, match="lower the learning rate") as caught:
        row_of(run, tmp_path, checkpoint_every_s=0)
    assert caught.value.exit_code == 1
    assert not (tmp_path / "row.json").exists()


def test_weights_that_are_no_numbers_are_not_scored(stream: DomainStream, tmp_path: Path) -> None:
    # one step: the loss before it is fine, and only the weights after it show what happened
    run = make_run(stream, recipe=replace(RECIPE, steps=1, optimizer="sgd", lr=1e38, warmup=0.0, clip=1e30))
    with pytest.raises(SeamwiseError, match="no longer a number"):
        row_of(run, tmp_path)
    assert not list(tmp_path.glob("after-*.safetensors"))


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """The system refuses to write more than `size` bytes into a file, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_is_full(stream: DomainStream, tmp_path: Path) -> None:
    run = make_run(stream, "si")
    path = halfway(run, tmp_path)
    before = path.read_bytes()
    with files_limited_to(len(before) // 2), pytest.raises(SeamwiseError, match=r"cannot write.*safetensors") as caught:
        row_of(run, tmp_path, checkpoint_every_s=0)
    assert caught.value.exit_code == 1
    assert path.read_bytes() == before
    assert not list(tmp_path.glob(".part-*"))
    assert row_of(run, tmp_path)["R"] == row_of(run)["R"]  # once there is room it goes on


def test_a_folder_that_cannot_be_made(stream: DomainStream, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SeamwiseError, match="file"):
        row_of(make_run(stream), tmp_path / "file" / "run")


def test_two_processes_cannot_work_on_one_run(
    stream: DomainStream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_folder, "WAIT_S", 0.1)
    run = make_run(stream)
    events = execute(run, tmp_path)
    next(events)
    with pytest.raises(RefusedError, match="another process"):
        row_of(run, tmp_path)
    events.close()  # type: ignore[attr-defined]
    row_of(run, tmp_path)


def test_what_a_killed_process_left_is_removed(stream: DomainStream, tmp_path: Path) -> None:
    (tmp_path / ".part-abc").write_bytes(b"half")
    row_of(make_run(stream), tmp_path)
    assert not (tmp_path / ".part-abc").exists()


def test_a_mask_that_does_not_fit_is_named(tmp_path: Path) -> None:
    stream = make_stream(tmp_path)
    mask = tmp_path / "dark" / "masks" / "train1.png"
    mask.write_bytes((tmp_path / "dark" / "images" / "train1.png").read_bytes())
    with pytest.raises(BadInputError, match=r"train1.png"):
        row_of(make_run(stream), tmp_path / "run")


def test_unknown_strategies_and_parameters_are_answered(stream: DomainStream) -> None:
    with pytest.raises(UsageError, match="did you mean replay"):
        make_run(stream, "repaly")
    with pytest.raises(UsageError, match="did you mean capacity"):
        make_run(stream, "replay", capacitty=3)
