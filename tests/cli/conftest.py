from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from seamwise.cli import main
from seamwise.experiments.runs import execute
from tests.experiments.tiny import make_run, make_stream


@dataclass(frozen=True)
class Answer:
    """What a command ended with and printed."""

    code: int
    out: str
    err: str


Command = Callable[..., Answer]


@pytest.fixture
def seamwise(capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command in this process as the shell would."""

    def run(*words: object) -> Answer:
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        printed = capsys.readouterr()
        assert "Traceback" not in printed.err
        return Answer(int(ended.value.code or 0), printed.out, " ".join(printed.err.split()))

    return run


@pytest.fixture(scope="session")
def domains(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two domain folders, not to be changed."""
    stream = make_stream(tmp_path_factory.mktemp("domains"))
    return [stop.domain.root for stop in stream.stops]


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file that has learned both."""
    folder = tmp_path_factory.mktemp("model")
    for _ in execute(make_run(make_stream(folder / "domains")), folder / "run"):
        pass
    return folder / "run" / "after-1-dark.safetensors"
