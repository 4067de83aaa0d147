"""New domains: unassigned images that are alike among themselves and unlike every domain are noticed and proposed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
from seamwise.app.splits import take_turns
from seamwise.app.waiting import AT_ONCE, in_proposals, place, waiting
from seamwise.errors import NotFoundError, RefusedError
from seamwise.quality.guess import Guess, guess
from seamwise.storage.audit import record
from seamwise.storage.columns import utc_now
from seamwise.storage.database import changed, reading, writing
from seamwise.storage.rows import LARGEST_ID, Page, page
from seamwise.storage.tables import Domain, DomainProposal, Image, ProposalState, Role

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
    """Proposes a new domain where enough unassigned images are alike, or adds them to the proposal they belong to.

    Of several groups that are new, the first; the next look finds the next.
    """
    with reading(app.database) as session:
        closed = in_proposals(session, ProposalState.DISMISSED)
        offered = in_proposals(session, ProposalState.PROPOSED)
        found = session.execute(waiting().order_by(Image.domain_id.desc(), Image.id.desc()).limit(_LOOKED_AT)).all()
        atlas = read_atlas(session)
    strange = [
        (image, from_json(row.features)) for image, row in found if image.id not in closed and _is_strange(image)
    ]
    if len(strange) < LEAST_WELDS:
        return None
    groups = find_groups([image for image, _ in strange], np.array([features for _, features in strange]), atlas)
    new = (group for group in groups if not set(group.images) <= offered)
    return next((row for group in new if (row := _propose(app, group)) is not None), None)


def find_groups(images: list[Image], features: NDArray[np.float64], atlas: Atlas) -> Iterator[Group]:
    """The groups of images that are alike and like no domain by now, of `LEAST_WELDS` welds or more; largest first.

    What lies near a group may be its fringe: it forms no other before that one is a domain or set aside.
    """
    squares = (features**2).sum(axis=1)
    products = features @ features.T
    distances = np.sqrt(np.maximum(squares[:, None] + squares - 2 * products, 0) / features.shape[1])
    _, welds = np.unique([weld_of(image.weld, image.part, image.sha256) for image in images], return_inverse=True)
    of_weld = np.eye(welds.max() + 1)[welds]
    left = np.ones(len(images), dtype=bool)
    while True:
        alike = (distances <= _ALIKE) & left & left[:, None]
        sizes = (alike @ of_weld > 0).sum(axis=1)
        middle = int(sizes.argmax())
        if sizes[middle] < LEAST_WELDS:
            return
        said = guess(atlas.references, features[middle]) if atlas.references else None
        known = said is not None and not said.unlike_all
        if not known:
            members = sorted(images[n].id for n in np.flatnonzero(alike[middle]).tolist())
            yield Group(tuple(members), int(sizes[middle]), None if said is None else _nearest(said))
        left &= distances[middle] > (_ALIKE if known else 2 * _ALIKE)


def _nearest(said: Guess) -> tuple[str, float]:
    name = min(said.distances, key=said.distances.__getitem__)
    return name, round(said.distances[name], 2)


def _is_strange(image: Image) -> bool:
    """Whether it came unlike every domain."""
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
        numbers = _open(session, proposal_id).figures["images"]
        known = session.scalar(select(Domain).where(Domain.name == spec.name))
    # The same domain made already: an acceptance that broke off half-way goes on.
    same = known is not None and all(getattr(known, name) == value for name, value in spec.model_dump().items())
    domain = known if known is not None and same else create_domain(app, actor, spec)
    for start in range(0, len(numbers), AT_ONCE):
        _place_all(app, actor, proposal_id, numbers[start : start + AT_ONCE], domain)
    return _close(app, actor, proposal_id, ProposalState.ACCEPTED, domain)


def _place_all(app: App, actor: Actor, proposal_id: int, numbers: Sequence[int], domain: Domain) -> None:
    with writing(app.database) as session:
        _open(session, proposal_id)
        take_turns(session, domain)
        for image in place(session, dict.fromkeys(numbers, domain)):
            image.guessed = {key: value for key, value in (image.guessed or {}).items() if key != "domain"} or None
            details = {"domain": domain.name}
            record(session, actor.name, "image.assign", f"image/{image.id}", details, actor.request_id)


def dismiss_proposal(app: App, actor: Actor, proposal_id: int) -> DomainProposal:
    """Turns a proposal down; its images are proposed no more."""
    require(actor, Role.TRAINER)
    return _close(app, actor, proposal_id, ProposalState.DISMISSED)


def _propose(app: App, group: Group) -> DomainProposal | None:
    """A new proposal of a group, or the open one that it made larger; None where that one has all of it."""
    with writing(app.database) as session:
        # Of two processes that noticed the same images, the second waits here, and then finds the first one's proposal.
        session.scalars(select(Image.id).where(Image.id.in_(group.images)).order_by(Image.id).with_for_update()).all()
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
        closing = update(DomainProposal).where(*still).values(**values, domain_id=domain.id if domain else None)
        if not changed(session, closing):
            raise RefusedError(f"proposal {proposal_id} was closed at this moment; look at it again")
        details = {"state": state} | ({"domain": domain.name} if domain else {})
        record(session, actor.name, "domain.decide", f"proposal/{proposal_id}", details, actor.request_id)
        return _find(session, proposal_id)
