"""Learning: strategies, trainings and their rounds, evaluations, models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from seamwise.client.calls import Calls, path_part, told, version_path
from seamwise.client.records import Job
from seamwise.client.served import Evaluation, Forgetting, Model, Round, Strategy


class Strategies:
    """How a model may learn without forgetting."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def list(self) -> Sequence[Strategy]:
        """All of them; several are joined by "+", such as si+replay."""
        found = self._calls.send("GET", "/strategies").json()["items"]
        return [Strategy.model_validate(each) for each in found]

    def get(self, name: str) -> Strategy:
        return self._calls.get(f"/strategies/{path_part(name)}", Strategy)


class Trainings:
    """Rounds of model lines, each done by a job."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def start(
        self,
        line: str,
        domain: str,
        *,
        strategy: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        recipe: Mapping[str, Any] | None = None,
        mode: str | None = None,
        **more: Any,
    ) -> Job:
        """Begins a round: the line learns what is labelled of a domain, from where its version before was left.

        What is left out is as in that version. mode: offline or online. more: steps, epochs, parent, rule, classes,
        scale, seed, device, engine, round, checkpoint_every_s.
        """
        wished = {"strategy": strategy, "parameters": parameters, "recipe": recipe, "mode": mode, **more}
        return self._calls.begin("/trainings", {"line": line, "domain": domain, **told(wished)})

    def list(self, *, line: str | None = None) -> Iterator[Job]:
        """All trainings, newest first."""
        return self._calls.pages("/trainings", Job, line=line)


class Rounds:
    """The numbered trainings of each line: proposed, under way or over."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def list(self, *, line: str | None = None, state: str | None = None) -> Iterator[Round]:
        """All rounds, newest first."""
        return self._calls.pages("/rounds", Round, line=line, state=state)

    def get(self, number: int) -> Round:
        """A round by its id."""
        return self._calls.get(f"/rounds/{number}", Round)

    def dismiss(self, number: int) -> Round:
        """Turns a proposed round down; to take it up, start a training with `round`."""
        return self._calls.post(f"/rounds/{number}/dismiss", Round)


class Evaluations:
    """Versions judged on the qualification sets."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def start(self, version: str) -> Job:
        """Begins the evaluation of a version on the sets that count now. version: LINE/NUMBER."""
        return self._calls.begin("/evaluations", {"version": version})

    def list(self, *, version: str | None = None) -> Iterator[Evaluation]:
        """All evaluations, newest first."""
        return self._calls.pages("/evaluations", Evaluation, version=version)

    def get(self, number: int) -> Evaluation:
        return self._calls.get(f"/evaluations/{number}", Evaluation)

    def counts(self, number: int) -> Sequence[dict[str, Any]]:
        """Confusion, defects found and false calls of each image."""
        found: Sequence[dict[str, Any]] = self._calls.send("GET", f"/evaluations/{number}/images").json()["items"]
        return found


class Models:
    """Versions of model lines; a version is named LINE/NUMBER."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def list(self, *, line: str | None = None) -> Iterator[Model]:
        """All versions, newest first."""
        return self._calls.pages("/models", Model, line=line)

    def get(self, version: str) -> Model:
        return self._calls.get(f"/models/{version_path(version)}", Model)

    def forgetting(self, line: str) -> Forgetting:
        """What a line's versions scored on each domain, and what the newest has forgotten."""
        return self._calls.get(f"/models/{path_part(line)}/forgetting", Forgetting)

    def download(self, version: str, name: str, target: Path) -> Path:
        """Writes one of a version's files, such as model.safetensors or model.onnx; whole or not at all."""
        return self._calls.download(f"/models/{version_path(version)}/files/{path_part(name)}", target)
