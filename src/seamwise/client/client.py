"""The client: one object with a part for each noun of the API."""

from __future__ import annotations

from types import TracebackType

import httpx

from seamwise.client.access import Audit, Keys
from seamwise.client.calls import PREFIX, Calls, problem_of
from seamwise.client.data import Domains, Images, Imports, Snapshots
from seamwise.client.jobs import Jobs
from seamwise.client.learning import Evaluations, Models, Rounds, Strategies, Trainings
from seamwise.client.records import Job, Readiness
from seamwise.client.serving import Aliases, Batches, Drift, Predictions
from seamwise.client.uploads import Uploads
from seamwise.errors import UsageError

ADDRESS = "http://127.0.0.1:8000"


class Client:
    """Speaks to a Seamwise service.

        with Client("http://127.0.0.1:8000", key) as seamwise:
            job = seamwise.trainings.start("main", "steel", strategy="si+replay")
            seamwise.jobs.wait(job.id)

    address: with or without /api/v1. key: the token that `seamwise keys make` printed. patience_s: how long a request
    that may be sent again is tried through an outage; requests that begin a job carry an idempotency key and may.
    timeout_s: for one answer. http: instead of a connection of its own. Use one client a thread.
    """

    def __init__(
        self,
        address: str = ADDRESS,
        key: str | None = None,
        *,
        patience_s: float = 60.0,
        timeout_s: float = 120.0,
        http: httpx.Client | None = None,
    ) -> None:
        base = address.rstrip("/").removesuffix(PREFIX)
        if not base.startswith(("http://", "https://")):
            raise UsageError(f"address {address!r}: write it as http://host:port or https://host")
        try:
            self._http = http or httpx.Client(base_url=base, timeout=timeout_s)
        except httpx.InvalidURL as error:
            raise UsageError(f"address {address!r}: {error}; write it as http://host:port or https://host") from error
        if key is not None:
            self._http.headers["Authorization"] = f"Bearer {key}"
        self._calls = Calls(self._http, patience_s)
        self.domains = Domains(self._calls)
        self.images = Images(self._calls)
        self.uploads = Uploads(self._calls)
        self.imports = Imports(self._calls)
        self.snapshots = Snapshots(self._calls)
        self.jobs = Jobs(self._calls)
        self.strategies = Strategies(self._calls)
        self.trainings = Trainings(self._calls)
        self.rounds = Rounds(self._calls)
        self.evaluations = Evaluations(self._calls)
        self.models = Models(self._calls)
        self.aliases = Aliases(self._calls)
        self.predictions = Predictions(self._calls)
        self.batches = Batches(self._calls)
        self.drift = Drift(self._calls)
        self.keys = Keys(self._calls)
        self.audit = Audit(self._calls)

    def ready(self) -> Readiness:
        """Whether the service can do its work; AwayError when it does not answer at all."""
        answer = self._calls.ask("GET", "/ready")
        if answer.status_code not in (200, 503):
            raise problem_of(answer)
        return Readiness.model_validate(answer.json())

    def scrub(self, *, collect: bool = False) -> Job:
        """Begins a job that reads every stored object and compares it with its hash; collect: delete leftovers too."""
        return self._calls.begin("/scrubs", {"collect": collect})

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
