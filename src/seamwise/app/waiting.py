"""Images that wait for a domain: placing them in one, and sorting them again when more is known of the domains.

A reference that the waiting images were compared with is marked so in its row. A pass that breaks off leaves no mark
and is done again, in any process; what it has placed waits no more. Each reference gets two: at once, and when no
process guesses by what it remembered from before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from seamwise.app.actor import SYSTEM
from seamwise.app.app import App
from seamwise.app.domains import find_domain
from seamwise.app.guessing import Atlas, Sorted, from_json, read_atlas
from seamwise.app.splits import choose_side, take_turns
from seamwise.storage.audit import record
from seamwise.storage.columns import utc_now
from seamwise.storage.database import reading, writing
from seamwise.storage.tables import Domain, DomainProposal, DomainReference, Image, ImageFeatures, ProposalState

AT_ONCE = 100  # images of one transaction
_COMPARED = "compared"  # in a reference's state: false after its first pass, true after its last
_SETTLED = timedelta(minutes=1)  # longer than any process remembers references, and takes to answer


def waiting() -> Select[Image, ImageFeatures]:
    """Images without a domain that were looked at, with their features."""
    rows = select(Image, ImageFeatures).join(ImageFeatures, ImageFeatures.image_id == Image.id)
    return rows.where(Image.domain_id.is_(None), Image.deleted_at.is_(None))


def in_proposals(session: Session, state: ProposalState) -> set[int]:
    """The numbers of the images in proposals of a state; those of dismissed ones are left to people."""
    rows = session.scalars(select(DomainProposal.figures).where(DomainProposal.state == state))
    return {number for figures in rows for number in figures["images"]}


def place(session: Session, domains: Mapping[int, Domain]) -> list[Image]:
    """Gives images their domains and sides, within the domains' turns (`splits.take_turns`).

    domains: by the images' numbers. Those placed; the others were sorted or deleted meanwhile.
    """
    still = (Image.id.in_(domains), Image.domain_id.is_(None), Image.deleted_at.is_(None))
    placed = list(session.scalars(select(Image).where(*still).order_by(Image.id).with_for_update()))
    for image in placed:
        domain = domains[image.id]
        image.side = choose_side(session, domain, weld=image.weld, part=image.part, sha256=image.sha256)
        image.domain_id = domain.id
    return placed


def sort_again(app: App) -> int:
    """Sorts the images again whose domain could not be guessed, where a domain was described anew since.

    How many found a domain. Those that came without a guess, or are in a dismissed proposal, stay for people to assign.
    """
    with reading(app.database) as session:
        new = [row for row in session.scalars(select(DomainReference)) if _is_new(row)]
        atlas = read_atlas(session) if new else None
    if atlas is None:
        return 0
    compared = {row.domain_id: (row.state, {**row.state, _COMPARED: _is_settled(row)}) for row in new}
    moved, last = 0, 0
    while True:
        with reading(app.database) as session:
            rows = waiting().where(Image.id > last).order_by(Image.domain_id, Image.id)  # as the index has them
            found = session.execute(rows.limit(AT_ONCE)).all()
        if not found:
            break
        last = found[-1][0].id
        moved += _move(app, _sorted(app, atlas, [(image, row.features) for image, row in found]))
    _mark(app, compared)
    return moved


def _sorted(app: App, atlas: Atlas, images: Sequence[tuple[Image, dict[str, Any]]]) -> dict[int, Sorted]:
    """What is sorted surely enough by now, by number."""
    least = app.settings.guess_confidence
    guessed = [(image, features) for image, features in images if "domain" in (image.guessed or {})]
    sorts = {image.id: atlas.sort(from_json(features), image.modality, least) for image, features in guessed}
    return {number: sort for number, sort in sorts.items() if sort.name is not None}


def _move(app: App, sorts: dict[int, Sorted]) -> int:
    if not sorts:
        return 0
    with writing(app.database) as session:
        apart = in_proposals(session, ProposalState.DISMISSED)
        names = {number: sort.name or "" for number, sort in sorts.items() if number not in apart}
        # In one order, so that two of these never wait for each other in a circle.
        domains = {name: take_turns(session, find_domain(session, name)) for name in sorted(set(names.values()))}
        placed = place(session, {number: domains[name] for number, name in names.items()})
        for image in placed:
            sort = sorts[image.id]
            _say_guessed(image, domains[names[image.id]], sort)
            details = {"domain": sort.name, "confidence": sort.confidence}
            record(session, SYSTEM.name, "image.sort", f"image/{image.id}", details)
        return len(placed)


def _say_guessed(image: Image, domain: Domain, sort: Sorted) -> None:
    """Keeps of it what is kept of an image whose domain was guessed when it came."""
    said: dict[str, Any] = {"name": sort.likely, "confidence": sort.confidence, "unlike_all": sort.unlike_all}
    guessed = {**(image.guessed or {}), "domain": said}
    if image.modality is None:
        image.modality = domain.modality
        guessed["modality"] = {"name": domain.modality, "confidence": sort.confidence}
    image.guessed = guessed
    image.pitch_mm = image.pitch_mm or domain.pitch_mm


def _is_new(row: DomainReference) -> bool:
    compared = row.state.get(_COMPARED)
    return compared is None or (not compared and _is_settled(row))


def _is_settled(row: DomainReference) -> bool:
    return utc_now() - row.made_at > _SETTLED


def _mark(app: App, compared: dict[int, tuple[dict[str, Any], dict[str, Any]]]) -> None:
    """Notes that the waiting images were compared with these states, unless a domain was described anew meanwhile."""
    with writing(app.database) as session:
        for number, (before, after) in sorted(compared.items()):
            row = session.get(DomainReference, number, with_for_update=True)
            if row is not None and row.state == before:
                row.state = after
