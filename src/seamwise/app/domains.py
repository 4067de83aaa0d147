"""Domains: kinds of pictures, each with its modality and its classes."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from seamwise.app.actor import Actor, require
from seamwise.app.app import App
from seamwise.app.formats.coco import IGNORE
from seamwise.app.spec import Name, Spec, Text
from seamwise.errors import NotFoundError, RefusedError
from seamwise.storage.audit import record
from seamwise.storage.database import reading, writing
from seamwise.storage.rows import Page, page
from seamwise.storage.tables import Domain, Role


class NewDomain(Spec):
    """A domain to be made. classes: names by class id, background first. ignore: mask value that counts nowhere."""

    name: Name
    modality: Text
    classes: Annotated[list[Text], Field(min_length=2, max_length=255)]
    ignore: Annotated[int, Field(ge=0, le=255)] | None = None
    pitch_mm: Annotated[float, Field(gt=0, le=100)] | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(set(self.classes)) < len(self.classes):
            raise ValueError("classes: each name once")
        if IGNORE in self.classes:
            raise ValueError(
                f"classes: {IGNORE!r} is what COCO and LabelMe files call what counts nowhere; choose another"
            )
        if self.ignore is not None and self.ignore < len(self.classes):
            raise ValueError(f"ignore: {self.ignore} is the id of class {self.classes[self.ignore]!r}; take a free one")
        return self


def create_domain(app: App, actor: Actor, spec: NewDomain) -> Domain:
    """Makes a domain; RefusedError when its name is taken."""
    require(actor, Role.TRAINER)
    domain = Domain(**spec.model_dump(), created_by=actor.name)
    try:
        with writing(app.database) as session:
            session.add(domain)
            session.flush()
            record(session, actor.name, "domain.create", f"domain/{spec.name}", request_id=actor.request_id)
    except IntegrityError as error:
        raise RefusedError(f"domain {spec.name}: there is one of this name; choose another, or use it") from error
    return domain


def list_domains(app: App, actor: Actor, cursor: str | None = None, limit: int = 50) -> Page[Domain]:
    """A page of domains, oldest first."""
    require(actor, Role.VIEWER)
    with reading(app.database) as session:
        return page(session, select(Domain), Domain.id, cursor=cursor, limit=limit, newest_first=False)


def get_domain(app: App, actor: Actor, name: str) -> Domain:
    """One domain by its name; NotFoundError when there is none."""
    require(actor, Role.VIEWER)
    with reading(app.database) as session:
        return find_domain(session, name)


def find_domain(session: Session, name: str) -> Domain:
    """The domain of a name, within a transaction; NotFoundError when there is none."""
    domain = session.scalar(select(Domain).where(Domain.name == name))
    if domain is None:
        raise NotFoundError(f"domain {name[:64]!r}: there is none of this name; make it first")
    return domain
