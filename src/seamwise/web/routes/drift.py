"""/drift and /proposals: whether domains change, and domains that nobody has named yet."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import APIRouter

from seamwise.app import domains, drift, newcomers
from seamwise.storage.tables import ProposalState
from seamwise.web.asking import ActorOf, AppOf, Cursor, Limit
from seamwise.web.ids import Id
from seamwise.web.shapes import Listed, Shape

router = APIRouter(tags=["drift"])


class MovedShape(Shape):
    """A feature that speaks for drift; up: whether it grew."""

    feature: str
    up: bool
    evidence: float


class EvidenceShape(Shape):
    """What speaks for drift: an alarm when `value` reaches `threshold`, the images between two false alarms."""

    value: float
    threshold: float
    alarm: bool
    moved: list[MovedShape]
    images: int
    welds: int


class AlarmShape(EvidenceShape):
    """The evidence when an alarm began. prediction: at which; round: the round that it asked for."""

    prediction: int
    round: int | None = None


class WatchShape(Shape):
    """The watch over a domain. reference: welds that it compares with."""

    domain: str
    evidence: EvidenceShape
    alarm: AlarmShape | None
    reference: int
    calibrated_by: str
    changed_at: datetime


class ProposalShape(Shape):
    """Unassigned images that are alike and unlike every domain. domain_id: the domain that was made of them."""

    id: int
    state: ProposalState
    figures: dict[str, Any]
    domain_id: int | None
    created_at: datetime
    closed_by: str | None
    closed_at: datetime | None


@router.get("/drift", response_model=list[WatchShape])
def watches(app: AppOf, actor: ActorOf) -> Any:
    """The watches over all domains."""
    return drift.list_watches(app, actor)


@router.get("/drift/{domain}", response_model=WatchShape)
def watch(app: AppOf, actor: ActorOf, domain: str) -> Any:
    """The watch over one domain."""
    return drift.get_watch(app, actor, domain)


@router.post("/drift/{domain}/calibrate", response_model=WatchShape)
def calibrate(app: AppOf, actor: ActorOf, domain: str, spec: drift.Calibration) -> Any:
    """Begins the watch anew, with the domain's images as they are now for its reference."""
    return drift.calibrate_domain(app, actor, domain, spec)


@router.post("/drift/{domain}/restart", response_model=WatchShape)
def restart(app: AppOf, actor: ActorOf, domain: str) -> Any:
    """Ends an alarm: what was seen joins the reference."""
    return drift.restart_watch(app, actor, domain)


@router.get("/proposals", response_model=Listed[ProposalShape])
def proposals(
    app: AppOf, actor: ActorOf, state: ProposalState | None = None, cursor: Cursor = None, limit: Limit = 50
) -> Any:
    """A page of proposals of new domains, newest first."""
    return newcomers.list_proposals(app, actor, state=state, cursor=cursor, limit=limit)


@router.get("/proposals/{proposal_id}", response_model=ProposalShape)
def proposal(app: AppOf, actor: ActorOf, proposal_id: Id) -> Any:
    """One proposal."""
    return newcomers.get_proposal(app, actor, proposal_id)


@router.post("/proposals/{proposal_id}/accept", response_model=ProposalShape)
def accept(app: AppOf, actor: ActorOf, proposal_id: Id, spec: domains.NewDomain) -> Any:
    """Makes the domain, and sorts the proposal's images into it."""
    return newcomers.accept_proposal(app, actor, proposal_id, spec)


@router.post("/proposals/{proposal_id}/dismiss", response_model=ProposalShape)
def dismiss(app: AppOf, actor: ActorOf, proposal_id: Id) -> Any:
    """Turns a proposal down; its images are proposed no more."""
    return newcomers.dismiss_proposal(app, actor, proposal_id)
