"""A year in small, as a team would live it: two domains, trainings offline and online, promotion, reviews, rollback.

Everything goes through the client, and everything may be asked again: each step looks for what an earlier try of it
left before it does it, as a person would after an outage.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from seamwise.client import AwayError, Client, JobFailedError
from seamwise.client.records import Job
from seamwise.errors import RefusedError
from tests.end_to_end.pictures import fresh, write_set

LINE = "main"
RECIPE: dict[str, Any] = {
    "network_options": {"width": 4, "depth": 2, "prior": None},
    "tile": 32,
    "batch_size": 2,
    "lr": 0.03,
}
STRATEGY = {"strategy": "si+replay", "parameters": {"c": 0.1, "capacity": 8, "share": 0.5}}
PATIENCE_S = 180.0


def live(client: Client, folder: Path, *, steps: int = 40) -> dict[str, Any]:
    """Lives through it; the rows and weights that are left, without ids and times."""
    folder.mkdir(exist_ok=True)
    for name, bright in (("steel", True), ("pe", False)):
        archive = write_set(folder, name, bright=bright)
        domain(client, name)
        sent = client.uploads.send(archive, domain=name)
        assert sent.job is not None
        followed(client, sent.job)
    first = trained(client, "steel", steps=steps, recipe=RECIPE, checkpoint_every_s=0.5, engine="torch", **STRATEGY)
    promoted(client, first)
    served(client, first)
    for picture, mask in fresh(folder, "steel", 4, bright=True):
        reviewed(client, picture, mask)
    trained(client, "steel", mode="online")
    last = trained(client, "pe", steps=steps, checkpoint_every_s=0.5)
    promoted(client, last)
    batch = followed(client, client.batches.start(domain="pe", version=last).id)
    snapshot = snapshot_of(client, ["pe", "steel"])
    followed(client, client.snapshots.export(snapshot, format="coco").id)
    rolled_back(client, first)
    scrubbed = followed(client, client.scrub().id)
    assert scrubbed.result is not None
    assert not scrubbed.result["damaged"], scrubbed.result
    return projection(client) | {"batch": len([*client.predictions.list(batch=batch.id)])}


def domain(client: Client, name: str) -> None:
    """Makes a domain; one that an unanswered request made is as good."""
    wanted = {"modality": "radiography", "classes": ["background", "crack"]}
    until_done(lambda: client.domains.create(name, **wanted), lambda: name in {d.name for d in client.domains.list()})


def trained(client: Client, name: str, **wished: Any) -> str:
    """A round and its evaluation, to their ends; the version it made."""
    job = followed(client, client.trainings.start(LINE, name, **wished).id)
    assert job.result is not None
    return str(job.result["version"])


def followed(client: Client, number: int) -> Job:
    """A job to its end, with those that came of it; one that faults made fail is queued again, as a person would."""
    while True:
        try:
            job = client.jobs.wait(number, timeout_s=PATIENCE_S)
            break
        except JobFailedError as error:
            if "attempts in a row" not in str(error) and "before it was done" not in str(error):
                raise
            until_done(partial(client.jobs.requeue, number), lambda: client.jobs.get(number).state != "failed")
    for then in (job.result or {}).get("then", ()):
        followed(client, then)
    return job


def promoted(client: Client, version: str) -> None:
    """Made production by force: so few pictures tell the gate nothing."""
    until_done(
        lambda: client.aliases.promote(version, "the scenario goes on", force=True),
        lambda: any(a.name == "production" and a.version == version for a in client.aliases.list()),
    )


def rolled_back(client: Client, version: str) -> None:
    until_done(lambda: client.aliases.rollback("the scenario ends"), lambda: client.aliases.get().version == version)


def served(client: Client, version: str) -> None:
    """Waits until the version answers."""
    until = time.monotonic() + PATIENCE_S
    while True:
        with suppress(AwayError):
            if client.ready().serving == version:
                return
        assert time.monotonic() < until, f"{version} does not serve"
        time.sleep(0.1)


def reviewed(client: Client, picture: Path, mask: Path) -> None:
    """A picture that comes in, and what an inspector draws on it."""
    made = client.predictions.make(picture, domain="steel", weld=picture.stem)
    while made.id is None or made.image is None:  # answered while a store was away, and so not kept
        time.sleep(0.5)
        made = client.predictions.make(picture, domain="steel", weld=picture.stem)
    number, image = made.id, made.image
    until_done(
        lambda: client.predictions.review(number, mask=mask),
        lambda: any(found.origin == "drawn" for found in client.images.annotations(image)),
    )


def snapshot_of(client: Client, names: list[str]) -> int:
    until_done(lambda: client.snapshots.create(names), lambda: False, tries=3)
    return next(found.id for found in client.snapshots.list(kind="training") if found.spec.get("domains") == names)


def until_done(do: Callable[[], object], done: Callable[[], bool], tries: int = 20) -> None:
    """Does something that must not be done twice: after an outage it looks first whether it was done."""
    for _ in range(tries):
        try:
            do()
            return
        except (AwayError, RefusedError) as error:
            time.sleep(0.5)
            if done():
                return
            last = error
    raise last


def projection(client: Client) -> dict[str, Any]:
    """What both sides of the platform must agree on: rows by what they mean, weights by their hashes."""
    images = {image.id: image for image in client.images.list()}
    models = {model.id: model for model in client.models.list()}
    shas = {number: image.sha256 for number, image in images.items()}
    names = {number: model.version for number, model in models.items()}
    return {
        "domains": sorted((d.name, d.modality, tuple(d.classes)) for d in client.domains.list()),
        "images": sorted((i.sha256, i.domain, i.source, i.weld, i.side, i.width, i.bits) for i in images.values()),
        "annotations": sorted(
            (shas[number], found.number, found.origin, found.label, names.get(found.model_id or 0))
            for number in images
            for found in client.images.annotations(number)
        ),
        "snapshots": sorted({(s.kind, s.digest, s.size) for s in client.snapshots.list()}),
        "models": sorted(
            (m.version, names.get(m.parent_id or 0), m.weights_sha256, m.state_sha256, m.engine, plain(m.r_row))
            for m in models.values()
        ),
        "rounds": sorted(
            (r.line, r.number, r.state, plain(r.cause), names.get(r.model_id or 0)) for r in client.rounds.list()
        ),
        "evaluations": sorted((names[e.model_id], plain(e.summary)) for e in client.evaluations.list()),
        "history": [(c.action, c.before, c.after, c.reason) for c in client.aliases.history()],
        # An answer that was asked for again is stored twice.
        "predictions": sorted(
            {
                (p.version, shas[p.image or 0], p.domain.name or "", plain([d.model_dump() for d in p.defects]))
                for p in client.predictions.list()
            }
        ),
        "forgetting": client.models.forgetting(LINE).model_dump(),
    }


def plain(value: Any) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16] if value is not None else ""
