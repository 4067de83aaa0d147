"""Model versions: finding them, their files, loading one to serve, and what a line has forgotten."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from seamwise.app.actor import Actor, require
from seamwise.app.app import App
from seamwise.app.files import fetch
from seamwise.errors import NotFoundError
from seamwise.serving import Loaded, Loader, load_package
from seamwise.serving.package import MODEL, ONNX, SERVING
from seamwise.storage.database import reading
from seamwise.storage.object_rows import find_object
from seamwise.storage.object_store import Stored, verified
from seamwise.storage.rows import LARGEST_ID, Page, page
from seamwise.storage.tables import ModelVersion, Role

STATE = "state.safetensors"


def name_of(version: ModelVersion) -> str:
    """`LINE/NUMBER`, by which answers, aliases and people call a version."""
    return f"{version.line}/{version.number}"


def find_version(session: Session, name: str) -> ModelVersion:
    """The version called `LINE/NUMBER`, within a transaction; NotFoundError when there is none."""
    line, _, number = name.rpartition("/")
    known = number.isascii() and number.isdigit() and len(number) < 19
    same = (ModelVersion.line == line, ModelVersion.number == int(number)) if known else None
    version = session.scalar(select(ModelVersion).where(*same)) if same else None
    if version is None:
        raise NotFoundError(f"version {name[:80]!r}: there is none; versions are called LINE/NUMBER, such as welds/3")
    return version


def find_model(session: Session, number: int) -> ModelVersion:
    """The version of an id, within a transaction; NotFoundError when there is none."""
    version = session.get(ModelVersion, number) if 0 < number <= LARGEST_ID else None
    if version is None:
        raise NotFoundError(f"model {number}: there is none of this number")
    return version


def get_version(app: App, actor: Actor, name: str) -> ModelVersion:
    """One version by its name."""
    require(actor, Role.VIEWER)
    with reading(app.database) as session:
        return find_version(session, name)


def list_versions(
    app: App, actor: Actor, *, line: str | None = None, cursor: str | None = None, limit: int = 50
) -> Page[ModelVersion]:
    """A page of versions, newest first."""
    require(actor, Role.VIEWER)
    rows = select(ModelVersion) if line is None else select(ModelVersion).where(ModelVersion.line == line)
    with reading(app.database) as session:
        return page(session, rows, ModelVersion.id, cursor=cursor, limit=limit)


def files_of(version: ModelVersion) -> dict[str, str]:
    """The version's files: the sha256 of each by its name."""
    known = {
        MODEL: version.weights_sha256,
        ONNX: version.exported_sha256,
        SERVING: version.serving_sha256,
        STATE: version.state_sha256,
    }
    return {name: sha256 for name, sha256 in known.items() if sha256 is not None}


def read_file(app: App, actor: Actor, version: str, name: str) -> tuple[Stored, Iterator[bytes]]:
    """One of a version's files: what it is, and its bytes as they come, verified at the end.

    What may hold pixels of images takes a trainer: the state those that a memory keeps, the self-test a few cut-outs.
    """
    require(actor, Role.TRAINER if name in (STATE, SERVING) else Role.VIEWER)
    with reading(app.database) as session:
        files = files_of(find_version(session, version))
        if name not in files:
            raise NotFoundError(f"version {version}: no file {name[:64]!r}; it has {', '.join(files)}")
        stored = find_object(session, files[name])
    return stored, verified(app.objects, stored)


def fetch_package(app: App, version: ModelVersion, folder: Path) -> None:
    """Writes the files with which a version is served; those that are there already, and whole, stay."""
    for name, sha256 in files_of(version).items():
        if name != STATE and not _holds(folder / name, sha256):
            fetch(app, sha256, folder / name)


def _holds(path: Path, sha256: str) -> bool:
    """Whether a file is there with the content of a hash: a power cut or a bad disk may have changed it."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except OSError:
        return False


def loader(app: App, cache_folder: Path) -> Loader:
    """Loads versions by name for a server; their files are kept in a folder, one for each content."""

    def load(name: str) -> Loaded:
        with reading(app.database) as session:
            version = find_version(session, name)
        # Versions may share some of their files, such as the self-test of a line that begins like another.
        content = " ".join(sha256 for name, sha256 in files_of(version).items() if name != STATE)
        folder = cache_folder / hashlib.sha256(content.encode()).hexdigest()
        folder.mkdir(parents=True, exist_ok=True)
        fetch_package(app, version, folder)
        return load_package(folder, name)

    return load


@dataclass(frozen=True)
class TableRow:
    """One version's scores by domain after it learned `learned`; None: not evaluated there."""

    version: str
    learned: str
    scores: tuple[float | None, ...]


@dataclass(frozen=True)
class ForgettingTable:
    """The R matrix of a version's ancestry, oldest first.

    average: mean of the last row over the domains learned so far. forgetting: by domain, its best score before the last
    round minus its last one (Chaudhry et al. 2018), None for one that was new in it or where that cannot be told;
    mean_forgetting: over those known.
    """

    line: str
    domains: tuple[str, ...]
    rows: tuple[TableRow, ...]
    average: float | None
    forgetting: tuple[float | None, ...]
    mean_forgetting: float | None


def forgetting_table(app: App, actor: Actor, line: str) -> ForgettingTable:
    """What the newest version of a line and its ancestors scored on each domain; NotFoundError for an unknown line."""
    require(actor, Role.VIEWER)
    with reading(app.database) as session:
        newest = session.scalar(
            select(ModelVersion).where(ModelVersion.line == line).order_by(ModelVersion.number.desc()).limit(1)
        )
        if newest is None:
            raise NotFoundError(f"model line {line[:64]!r}: it has no version yet; train one")
        versions = ancestry(session, newest)
    domains = tuple(newest.spec["domains"])
    rows = tuple(
        TableRow(name_of(v), v.spec["domain"], tuple((v.r_row or {}).get(name) for name in domains)) for v in versions
    )
    first = {row.learned: place for place, row in reversed(list(enumerate(rows)))}
    forgetting = forgotten([row.scores for row in rows], [first.get(name, 0) for name in domains])
    return ForgettingTable(line, domains, rows, _mean(rows[-1].scores), forgetting, _mean(forgetting))


def ancestry(session: Session, version: ModelVersion) -> list[ModelVersion]:
    """A version and those it goes back to, oldest first."""
    found = [version]
    while found[-1].parent_id is not None:
        found.append(session.get_one(ModelVersion, found[-1].parent_id))
    return found[::-1]


def forgotten(R: Sequence[Sequence[float | None]], learned_at: Sequence[int]) -> tuple[float | None, ...]:
    """By domain: its best score before the last row minus the one there; None where one of them is not known.

    learned_at: the row after which each domain was first learned; one that is new in the last row has nothing to forget
    yet, whatever it scored before.
    """

    def lost(scores: tuple[float | None, ...], row: int) -> float | None:
        before = [score for score in scores[:-1] if score is not None]
        return max(before) - scores[-1] if row < len(R) - 1 and before and scores[-1] is not None else None

    return tuple(lost(column, row) for column, row in zip(zip(*R, strict=True), learned_at, strict=True))


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
