"""Small pictures, masks and domains for tests of what the platform does with them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seamwise.app.actor import SYSTEM, Actor
from seamwise.app.annotations import annotate
from seamwise.app.app import App
from seamwise.app.domains import NewDomain, create_domain
from seamwise.app.images import ImageAbout, receive
from seamwise.storage.database import reading
from seamwise.storage.tables import AuditEvent, Domain, Image, Origin, Role, StoredObject
from seamwise.vision.png import encode_png

INSPECTOR = Actor("key/2", Role.INSPECTOR, "request-1")
TRAINER = Actor("key/3", Role.TRAINER)
SHAPE = (6, 8)


def picture(seed: int = 0, shape: tuple[int, int] = SHAPE) -> bytes:
    """A grey PNG, another one for each seed."""
    return encode_png(np.random.default_rng(seed).integers(0, 256, (*shape, 1)).astype(np.uint8))


def ids(seed: int = 0, classes: int = 2, shape: tuple[int, int] = SHAPE) -> NDArray[np.uint8]:
    """A mask, another one for each seed."""
    return np.random.default_rng([seed, 1]).integers(0, classes, shape).astype(np.uint8)


def mask(seed: int = 0, classes: int = 2, shape: tuple[int, int] = SHAPE) -> bytes:
    return encode_png(ids(seed, classes, shape)[:, :, None])


def make_domain(app: App, name: str = "steel", classes: tuple[str, ...] = ("background", "crack"), **more) -> Domain:
    return create_domain(app, SYSTEM, NewDomain(name=name, modality="radiography", classes=list(classes), **more))


def labelled(app: App, count: int, domain: str = "steel", first: int = 0, weld: str = "weld-{}") -> list[Image]:
    """Pictures with drawn masks, each of a weld of its own."""
    found = []
    for seed in range(first, first + count):
        about = ImageAbout(domain=domain, weld=weld.format(seed), filename=f"{seed}.png")
        image = receive(app, INSPECTOR, picture(seed), about)
        annotate(app, INSPECTOR, image.id, mask(seed), None, Origin.DRAWN)
        found.append(image)
    return found


def traces(app: App) -> dict[str, object]:
    """All that a refused request might leave: rows, and keys in the object store."""
    with reading(app.database) as session:
        counts = {table.__tablename__: session.query(table).count() for table in (Image, StoredObject, AuditEvent)}
    return {**counts, "keys": sorted(found.key for found in app.objects.listed())}
