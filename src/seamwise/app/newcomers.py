"""New domains: unassigned images that are alike among themselves and unlike every domain are noticed and proposed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from seamwise.app.actor import SYSTEM, Actor, require
from seamwise.app.app import App
from seamwise.app.domains import NewDomain, create_domain
from seamwise.app.guessing import Atlas, from_json, read_atlas, weld_of
from seamwise.app.images import assign_image
from seamwise.errors import NotFoundError, RefusedError
from seamwise.quality.guess import guess
from seamwise.storage.audit import record
from seamwise.storage.columns import utc_now
from seamwise.storage.database import changed, reading, writing
from seamwise.storage.rows import LARGEST_ID, Page, page
from seamwise.storage.tables import Domain, DomainProposal, Image, ImageFeatures, ProposalState, Role

LEAST_WELDS = 8
_LOOKED_AT = 500  # of the newest unassigned images
# Root mean square over the features, in the extractor's units: of seven real domains, nearly all images of six, and
# half of the widest, lie within this of their domain's middle, those of other domains typically 2.6 to 8 apart.
_ALIKE = 2.0


@dataclass(frozen=True)
class Group:
    """Images that are alike. nearest: the domain that comes nearest, with its distance (1 for a typical image)."""

    images: tuple[int, ...]
    welds: int
    nearest: tuple[str, float] | None

    def to_json(self) -> dict[str, Any]:
        nearest = None if self.nearest is None else {"domain": self.nearest[0], "distance": self.nearest[1]}
        return {"images": list(self.images), "welds": self.welds, "nearest": nearest}


def notice(app: App) -> DomainProposal | None:
    """Proposes a new domain where enough unassigned images are alike, or adds them to the proposal they belong to."""
    with reading(app.database) as session:
        closed = _members(session, ProposalState.DISMISSED)
        rows = select(Image, ImageFeatures).join(ImageFeatures, ImageFeatures.image_id == Image.id)
        waiting = rows.where(Image.domain_id.is_(None), Image.deleted_at.is_(None))
        found = session.execute(waiting.order_by(Image.id.desc()).limit(_LOOKED_AT)).all()
        atlas = read_atlas(session)
    images = [image for image, _ in found if image.id not in closed]
    features = np.array([from_json(row.features) for image, row in found if image.id not in closed])
    group = find_group(images, features, atlas) if len(images) >= LEAST_WELDS else None
    return None if group is None else _propose(app, group)


def find_group(images: list[Image], features: NDArray[np.float64], atlas: Atlas) -> Group | None:
    """The largest group of images that are alike and came unlike every domain, of `LEAST_WELDS` welds or more.

    None also where its middle is like a domain by now.
    """
    strange = [n for n, image in enumerate(images) if _came_unlike_all(image)]
    if len(strange) < LEAST_WELDS:
        return None
    rows = features[strange]
    squares = (rows**2).sum(axis=1)
    distances = np.sqrt(np.maximum(squares[:, None] + squares - 2 * rows @ rows.T, 0) / rows.shape[1])
    alike = distances <= _ALIKE
    middle = int(alike.sum(axis=1).argmax())
    members = [images[strange[n]] for n in np.flatnonzero(alike[middle]).tolist()]
    welds = len({weld_of(image.weld, image.part, image.sha256) for image in members})
    if welds < LEAST_WELDS:
        return None
    nearest = None
    if atlas.references:
        found = guess(atlas.references, rows[middle])
        if not found.unlike_all:
            return None
        name = min(found.distances, key=found.distances.__getitem__)
        nearest = name, round(found.distances[name], 2)
    return Group(tuple(sorted(image.id for image in members)), welds, nearest)


def _came_unlike_all(image: Image) -> bool:
    said = (image.guessed or {}).get("domain")
    return said is not None and (said["unlike_all"] or said["name"] is None)


def list_proposals(
    app: App, actor: Actor, *, state: ProposalState | None = None, cursor: str | None = None, limit: int = 50
) -> Page[DomainProposal]:
    """A page of proposals, newest first."""
    require(actor, Role.VIEWER)
    rows = select(DomainProposal) if state is None else select(DomainProposal).where(DomainProposal.state == state)
    with reading(app.database) as session:
        return page(session, rows, DomainProposal.id, cursor=cursor, limit=limit)


def get_proposal(app: App, actor: Actor, proposal_id: int) -> DomainProposal:
    """One proposal."""
    require(actor, Role.VIEWER)
    with reading(app.database) as session:
        return _find(session, proposal_id)


def accept_proposal(app: App, actor: Actor, proposal_id: int, spec: NewDomain) -> DomainProposal:
    """Makes the domain and sorts the proposal's images into it, save those that were sorted or deleted since."""
    require(actor, Role.TRAINER)
    with reading(app.database) as session:
        proposal = _open(session, proposal_id)
        known = session.scalar(select(Domain).where(Domain.name == spec.name))
    # The same domain made already: an acceptance that broke off half-way goes on.
    same = known is not None and (known.modality, known.classes) == (spec.modality, spec.classes)
    domain = known if known is not None and same else create_domain(app, actor, spec)
    for number in proposal.figures["images"]:
        with reading(app.database) as session:
            image = session.get_one(Image, number)
        if image.domain_id is None and image.deleted_at is None:
            assign_image(app, actor, number, spec.name)
    return _close(app, actor, proposal_id, ProposalState.ACCEPTED, domain)


def dismiss_proposal(app: App, actor: Actor, proposal_id: int) -> DomainProposal:
    """Turns a proposal down; its images are proposed no more."""
    require(actor, Role.TRAINER)
    return _close(app, actor, proposal_id, ProposalState.DISMISSED)


def _propose(app: App, group: Group) -> DomainProposal | None:
    with writing(app.database) as session:
        rows = select(DomainProposal).where(DomainProposal.state == ProposalState.PROPOSED)
        for known in session.scalars(rows.order_by(DomainProposal.id)):
            mine = set(known.figures["images"])
            if mine & set(group.images):
                if set(group.images) <= mine:
                    return None
                known.figures = group.to_json() | {"images": sorted(mine | set(group.images))}
                return known
        row = DomainProposal(figures=group.to_json())
        session.add(row)
        session.flush()
        record(session, SYSTEM.name, "domain.propose", f"proposal/{row.id}", {"welds": group.welds})
        return row


def _members(session: Session, state: ProposalState) -> set[int]:
    rows = session.scalars(select(DomainProposal).where(DomainProposal.state == state))
    return {number for row in rows for number in row.figures["images"]}


def _find(session: Session, proposal_id: int) -> DomainProposal:
    known = 0 < proposal_id <= LARGEST_ID
    row = session.get(DomainProposal, proposal_id, populate_existing=True) if known else None
    if row is None:
        raise NotFoundError(f"proposal {proposal_id}: there is none of this number")
    return row


def _open(session: Session, proposal_id: int) -> DomainProposal:
    row = _find(session, proposal_id)
    if row.state is not ProposalState.PROPOSED:
        raise RefusedError(f"proposal {proposal_id} is {row.state} already")
    return row


def _close(
    app: App, actor: Actor, proposal_id: int, state: ProposalState, domain: Domain | None = None
) -> DomainProposal:
    with writing(app.database) as session:
        _open(session, proposal_id)
        still = (DomainProposal.id == proposal_id, DomainProposal.state == ProposalState.PROPOSED)
        values = {"state": state, "closed_by": actor.name, "closed_at": utc_now()}
        changed(session, update(DomainProposal).where(*still).values(**values, domain_id=domain.id if domain else None))
        details = {"state": state} | ({"domain": domain.name} if domain else {})
        record(session, actor.name, "domain.decide", f"proposal/{proposal_id}", details, actor.request_id)
        return _find(session, proposal_id)
