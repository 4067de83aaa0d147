"""What lists and details cost as a database grows: python benchmarks/lists.py [--server URL] [--json FILE]

Each request is timed over the API, in this process, on 1,000 images and 1,000 jobs and on 100,000 images and 10,000
jobs, with what hangs on them: annotations, predictions, reviews, logs, audit events. The storage's own statements are
timed beside them, as a request's other work hides what they cost. Without a server the database is a SQLite file.
The times are medians; what grows with a table shows a ratio far above 1.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from filled import filled, sha
from results import head, told, write
from seamwise.app.actor import SYSTEM
from seamwise.app.app import App
from seamwise.app.keys import NewKey, create_key
from seamwise.settings import Settings
from seamwise.storage import rows
from seamwise.storage.database import reading
from seamwise.storage.object_rows import find_object
from seamwise.storage.objects import open_objects
from seamwise.storage.tables import Annotation, AuditEvent, Image, JobState, Prediction, Review, Role, Side
from seamwise.tasks.doorbell import open_doorbell
from seamwise.tasks.lists import find_job, list_jobs, read_log, signs_of_life
from seamwise.web.main import PREFIX, create_app

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it would like another client to be installed
    from starlette.testclient import TestClient

SMALL, LARGE = (1_000, 1_000), (100_000, 10_000)
Statement = Callable[[Session], object]
Call = Callable[[], object]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", help="postgresql://user:password@host/postgres, to make databases on")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--repeats", type=int, default=50)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        filled(options.server, *SMALL) as few,
        filled(options.server, *LARGE) as many,
    ):
        cases = [calls(database, Path(folder), *size) for database, size in ((few, SMALL), (many, LARGE))]
        small, large = times(cases, options.repeats)
    found = {name: {"small_ms": small[name], "large_ms": large[name]} for name in small}
    print(f"{'request':44}{'small, ms':>12}{'large, ms':>12}{'ratio':>8}")
    for name, row in found.items():
        row["ratio"] = round(row["large_ms"] / row["small_ms"], 2)
        print(f"{name:44}{row['small_ms']:12.2f}{row['large_ms']:12.2f}{row['ratio']:8.2f}")
    print("largest ratio:", max(row["ratio"] for row in found.values()))
    result = head("lists") | {"small": SMALL, "large": LARGE, "requests": found}
    write(options.json, result, page(result))


def page(result: dict[str, Any]) -> str:
    """The figures as a Markdown page beside the JSON."""
    lines = [
        f"| {name} | {row['small_ms']:.2f} | {row['large_ms']:.2f} | {row['ratio']:.2f} |"
        for name, row in result["requests"].items()
    ]
    parts = [
        "# What lists and details cost as a database grows",
        "",
        told(result),
        "",
        "Median ms with {:,} images and {:,} jobs, then with {:,} and {:,}.".format(*result["small"], *result["large"]),
        "",
        "| request | small | large | ratio |",
        "|---|---:|---:|---:|",
        *lines,
        "",
    ]
    return "\n".join(parts)


def calls(database: Engine, folder: Path, images: int, jobs: int) -> Mapping[str, Call]:
    """All that is timed on one database, by name."""

    def run(statement: Statement) -> None:
        with reading(database) as session:
            statement(session)

    asked: dict[str, Call] = {
        f"statement: {name}": partial(run, call) for name, call in statements(images, jobs).items()
    }
    settings = Settings(data=folder, rate_limit="", log_level="error")
    app = App(settings, database, open_objects(settings.objects_url), open_doorbell("local:"))
    app.objects.prepare()
    key = create_key(app, SYSTEM, NewKey(name="benchmark", role=Role.ADMIN)).token
    web = TestClient(create_app(app), base_url=f"http://localhost{PREFIX}", headers={"Authorization": f"Bearer {key}"})

    def get(path: str) -> None:
        answer = web.get(path)
        assert answer.status_code == 200, (path, answer.text)

    return asked | {f"GET {name}": partial(get, path) for name, path in requests(images // 2 + 1, jobs // 2).items()}


def requests(image: int, job: int) -> dict[str, str]:
    """Lists and details by name, with the numbers that stand in the middle of the tables."""
    plain = ["/domains", "/domains/domain-1", "/images", "/images?unassigned=true", "/jobs", "/jobs?state=running"]
    plain += ["/domains/domain-1/images", "/domains/domain-1/images?side=test", "/jobs?state=failed&kind=train"]
    plain += ["/jobs?line=line-3", "/trainings", "/trainings?line=line-3", "/models", "/models?line=line-1"]
    plain += ["/models/line-1/1", "/rounds", "/evaluations", "/snapshots", "/snapshots/qualification", "/aliases"]
    plain += ["/predictions", "/predictions?domain=domain-1", "/predictions?batch=2", "/predictions/10/reviews"]
    plain += [
        "/batches",
        "/batches/2",
        "/drift",
        "/proposals",
        "/keys",
        "/audit",
        "/audit?by=key/3",
        "/ready",
        "/metrics",
    ]
    numbered = {
        "/images?cursor=ID": f"/images?cursor={image}",
        "/images/ID": f"/images/{image}",
        "/images/ID/annotations": f"/images/{image}/annotations",
        "/jobs/ID": f"/jobs/{job}",
        "/jobs/ID/log": f"/jobs/{job}/log",
        "/predictions/ID": f"/predictions/{image}",
        "/audit?subject=ID": f"/audit?subject=image/{image}",
    }
    return {path: path for path in plain} | numbered


def statements(images: int, jobs: int) -> dict[str, Statement]:
    """What is asked, by name; the numbers lie in the middle of the tables."""
    image, job = images // 2, jobs // 2
    mine = select(Image).where(Image.deleted_at.is_(None))
    return {
        "images, newest": lambda s: rows.page(s, mine, Image.id),
        "images, page from the middle": lambda s: rows.page(s, mine, Image.id, cursor=str(image)),
        "images of a domain": lambda s: rows.page(s, mine.where(Image.domain_id == 1), Image.id),
        "images of a domain, test side": lambda s: rows.page(
            s, mine.where(Image.domain_id == 1, Image.side == Side.TEST), Image.id
        ),
        "images, unassigned": lambda s: rows.page(s, mine.where(Image.domain_id.is_(None)), Image.id),
        "images of a weld": lambda s: rows.page(s, mine.where(Image.weld == "weld 7"), Image.id),
        "image": lambda s: s.get_one(Image, image),
        "image by hash": lambda s: s.scalars(select(Image).where(Image.sha256 == sha("image", image))).one(),
        "object by hash": lambda s: find_object(s, sha("image", image)),
        "annotations of an image": lambda s: rows.page(
            s, select(Annotation).where(Annotation.image_id == image), Annotation.id
        ),
        "predictions of a version": lambda s: rows.page(
            s, select(Prediction).where(Prediction.model_id == 1), Prediction.id
        ),
        "prediction": lambda s: s.get_one(Prediction, image),
        "reviews of a prediction": lambda s: rows.page(s, select(Review).where(Review.prediction_id == 10), Review.id),
        "jobs, newest": list_jobs,
        "jobs, running": lambda s: list_jobs(s, state=JobState.RUNNING),
        "jobs, succeeded": lambda s: list_jobs(s, state=JobState.SUCCEEDED),
        "jobs of a kind": lambda s: list_jobs(s, kind="train"),
        "jobs of a kind, failed": lambda s: list_jobs(s, kind="train", state=JobState.FAILED),
        "jobs of a line": lambda s: list_jobs(s, line="line-3"),
        "job": lambda s: find_job(s, job),
        "log of a job": lambda s: read_log(s, job),
        "signs of life": signs_of_life,
        "audit, newest": lambda s: rows.page(s, select(AuditEvent), AuditEvent.id),
        "audit of an actor": lambda s: rows.page(
            s, select(AuditEvent).where(AuditEvent.actor == "key/3"), AuditEvent.id
        ),
        "audit of a subject": lambda s: rows.page(
            s, select(AuditEvent).where(AuditEvent.subject == f"image/{image}"), AuditEvent.id
        ),
    }


def times(cases: Sequence[Mapping[str, Call]], repeats: int) -> list[dict[str, float]]:
    """The median time of each call, in milliseconds; all cases meet the same noise."""
    taken: list[dict[str, list[float]]] = [{name: [] for name in asked} for asked in cases]
    for _ in range(repeats + 1):
        for name in cases[0]:
            for asked, kept in zip(cases, taken, strict=True):
                begun = time.perf_counter()
                asked[name]()
                kept[name].append(1000 * (time.perf_counter() - begun))
    return [{name: round(statistics.median(each[1:]), 3) for name, each in kept.items()} for kept in taken]


if __name__ == "__main__":
    main()
