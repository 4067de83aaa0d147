"""Serving: which version answers, its answers, what inspectors say of them, and whether domains drift."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from seamwise.client.calls import Calls, path_part, told
from seamwise.client.data import Picture, sent_as
from seamwise.client.records import Job
from seamwise.client.served import Alias, Batch, Change, Prediction, Proposal, Review, Watch

PRODUCTION = "production"


class Aliases:
    """Names such as `production`, and the versions they stand for."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def list(self) -> Sequence[Alias]:
        return [Alias.model_validate(each) for each in self._calls.send("GET", "/aliases").json()]

    def get(self, name: str = PRODUCTION) -> Alias:
        return self._calls.get(f"/aliases/{path_part(name)}", Alias)

    def promote(self, version: str, reason: str, *, name: str = PRODUCTION, force: bool = False) -> Alias:
        """Promotes a version if the gate passes it; RefusedError with the figures if not. force: takes an admin."""
        content = {"version": version, "reason": reason, "force": force}
        return Alias.model_validate(
            self._calls.send("PUT", f"/aliases/{path_part(name)}", json=content, again=False).json()
        )

    def rollback(self, reason: str, *, name: str = PRODUCTION) -> Alias:
        """Goes back to the version that served before."""
        return self._calls.post(f"/aliases/{path_part(name)}/rollback", Alias, {"reason": reason})

    def history(self, name: str = PRODUCTION) -> Iterator[Change]:
        """All changes and refusals, newest first."""
        return self._calls.pages(f"/aliases/{path_part(name)}/history", Change)


class Predictions:
    """Pictures answered at once."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def make(
        self,
        image: Picture,
        *,
        domain: str | None = None,
        modality: str | None = None,
        pitch_mm: float | None = None,
        weld: str | None = None,
        captured_at: datetime | None = None,
    ) -> Prediction:
        """The answer of the version that serves. What is not told is read from the file or guessed.

        It is sent again in an outage: at worst the answer is stored twice.
        """
        fields = {"domain": domain, "modality": modality, "weld": weld}
        fields["pitch_mm"] = None if pitch_mm is None else str(pitch_mm)
        fields["captured_at"] = None if captured_at is None else captured_at.isoformat()
        answer = self._calls.send("POST", "/predictions", data=told(fields), files=sent_as("image", image), again=True)
        return Prediction.model_validate(answer.json())

    def list(self, *, domain: str | None = None, batch: int | None = None) -> Iterator[Prediction]:
        """All predictions, newest first."""
        return self._calls.pages("/predictions", Prediction, domain=domain, batch=batch)

    def get(self, number: int) -> Prediction:
        return self._calls.get(f"/predictions/{number}", Prediction)

    def download_mask(self, number: int, target: Path) -> Path:
        """Writes the predicted mask: a PNG of class ids of the version that answered."""
        return self._calls.download(f"/predictions/{number}/mask", target)

    def review(
        self,
        number: int,
        *,
        accept: bool = False,
        mask: Picture | None = None,
        label: str | None = None,
        domain: str | None = None,
        comment: str | None = None,
    ) -> Review:
        """Says whether a prediction is right, or what is: just one of accept, mask and label.

        domain: where an unassigned picture belongs.
        """
        fields: dict[str, Any] = {"label": label, "domain": domain, "comment": comment}
        fields["accept"] = "true" if accept else None
        path = f"/predictions/{number}/review"
        answer = self._calls.send("POST", path, data=told(fields), files=sent_as("mask", mask))
        return Review.model_validate(answer.json())

    def reviews(self, number: int) -> Iterator[Review]:
        """All reviews of a prediction, newest first."""
        return self._calls.pages(f"/predictions/{number}/reviews", Review)


class Batches:
    """Predictions of many stored images."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def start(
        self, *, images: Sequence[int] | None = None, domain: str | None = None, version: str | None = None
    ) -> Job:
        """Begins a batch over some images or all of a domain; its answers are `predictions.list(batch=job.id)`.

        version: LINE/NUMBER, else what `production` names.
        """
        chosen = None if images is None else [*images]
        return self._calls.begin("/batches", told({"images": chosen, "domain": domain, "version": version}))

    def list(self) -> Iterator[Batch]:
        """All batches, newest first."""
        return self._calls.pages("/batches", Batch)

    def get(self, number: int) -> Batch:
        """A batch by its job's number."""
        return self._calls.get(f"/batches/{number}", Batch)


class Drift:
    """Whether domains change, and domains that nobody has named yet."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def list(self) -> Sequence[Watch]:
        """The watches over all domains."""
        return [Watch.model_validate(each) for each in self._calls.send("GET", "/drift").json()]

    def get(self, domain: str) -> Watch:
        return self._calls.get(f"/drift/{path_part(domain)}", Watch)

    def calibrate(self, domain: str, *, images_between_false_alarms: float | None = None) -> Watch:
        """Begins the watch anew, with the domain's images as they are now for its reference."""
        wished = told({"images_between_false_alarms": images_between_false_alarms})
        return self._calls.post(f"/drift/{path_part(domain)}/calibrate", Watch, wished)

    def restart(self, domain: str) -> Watch:
        """Ends an alarm: what was seen joins the reference."""
        return self._calls.post(f"/drift/{path_part(domain)}/restart", Watch)

    def proposals(self, *, state: str | None = None) -> Iterator[Proposal]:
        """All proposals of new domains, newest first."""
        return self._calls.pages("/proposals", Proposal, state=state)

    def proposal(self, number: int) -> Proposal:
        return self._calls.get(f"/proposals/{number}", Proposal)

    def accept(self, number: int, name: str, *, modality: str, classes: Sequence[str]) -> Proposal:
        """Makes the domain that was proposed, and sorts its images into it."""
        content = {"name": name, "modality": modality, "classes": list(classes)}
        return self._calls.post(f"/proposals/{number}/accept", Proposal, content)

    def dismiss(self, number: int) -> Proposal:
        """Turns a proposal down; its images are proposed no more."""
        return self._calls.post(f"/proposals/{number}/dismiss", Proposal)
