"""Which side a picture is on - train, val or test - so that no weld is on two, now or later."""

from __future__ import annotations

import hashlib

from sqlalchemy import select
from sqlalchemy.orm import Session

from seamwise.storage.tables import Domain, Image, Side

SHARES = {Side.TEST: 0.2, Side.VAL: 0.2}  # the rest is for training


def side_of(domain_name: str, group: str) -> Side:
    """The side of a weld or part by the hash of its name alone: what else is there, or comes later, changes nothing."""
    digest = hashlib.sha256(f"{domain_name}\0{group}".encode("utf-8", "replace")).digest()
    share = int.from_bytes(digest[:8], "big") / 2**64
    for side, width in SHARES.items():
        if share < width:
            return side
        share -= width
    return Side.TRAIN


def group_of(weld: str | None, part: str | None, sha256: str) -> str:
    """What must stay together: all pictures of a weld, else of a part, else the picture alone."""
    return weld or part or sha256


def take_turns(session: Session, domain: Domain) -> Domain:
    """Makes transactions that place pictures in a domain wait for each other, from here to their ends: two that wish
    different sides for one weld must see each other. Call it before anything is inserted."""
    session.execute(select(Domain.id).where(Domain.id == domain.id).with_for_update(key_share=True))
    return domain


def choose_side(
    session: Session, domain: Domain, *, weld: str | None, part: str | None, sha256: str, wished: Side | None = None
) -> Side:
    """The side of a new picture of a domain: that of its weld's or part's others, else the one wished, else the hash's.

    wished: the side that a set's own lists give it. Call it within the domain's turn (`take_turns`).
    """
    if weld or part:
        same = Image.weld == weld if weld else (Image.weld.is_(None)) & (Image.part == part)
        known = select(Image.side).where(Image.domain_id == domain.id, same, Image.side.is_not(None))
        if (side := session.scalar(known.order_by(Image.id).limit(1))) is not None:
            return side
    return wished or side_of(domain.name, group_of(weld, part, sha256))
