"""Takes a set in: looks at all of it first, then commits it in batches that can be done again without effect."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from seamwise.app.actor import Actor
from seamwise.app.annotations import Claim, add_annotation, mask_file
from seamwise.app.app import App
from seamwise.app.files import Shelf, chunks_of, shelf
from seamwise.app.formats.found import Found, Item, is_text
from seamwise.app.images import Arrival, ImageAbout, add_image
from seamwise.app.pictures import Looked, PictureLimits, look
from seamwise.errors import BadInputError, RefusedError
from seamwise.storage.database import reading, writing
from seamwise.storage.object_store import Stored
from seamwise.storage.tables import Annotation, Domain, Image, Origin, Side

_BATCH = 100  # images of one transaction


@dataclass
class Tally:
    """What became of a set. images: new ones. known: pictures that were there. elsewhere: of these, in other domains,
    which were left alone. repeated: pictures that the set holds more than once; the first counts. masks: new ones.
    moved: pictures whose weld's or part's others have another side than the set's lists gave."""

    images: int = 0
    known: int = 0
    elsewhere: int = 0
    repeated: int = 0
    masks: int = 0
    moved: int = 0

    def count(self, image: Image, new: bool, wished: Side | None, domain: Domain) -> None:
        """Counts a picture that was added. wished: the side that the set gives it."""
        here = image.domain_id == domain.id
        self.images += new
        self.known += not new
        self.elsewhere += not here
        self.moved += here and wished is not None and image.side is not wished

    def as_json(self) -> dict[str, int]:
        return asdict(self)


@dataclass(frozen=True)
class Checked:
    """A picture of a set that was looked at. about: what the set says of it. mask: the file of its ids in the domain's
    numbers."""

    item: Item
    sha256: str
    looked: Looked
    about: ImageAbout
    mask: Path | None


def check_set(
    found: Found, domain: Domain, limits: PictureLimits, scratch: Path, seen: Callable[[int, int], None]
) -> tuple[list[Checked], int]:
    """Looks at every picture and mask of a set, before anything of it is kept: in the order of their hashes, and how
    many came more than once.

    scratch: an empty folder for masks. seen: told after each picture how many were looked at.
    """
    table = class_table(found, domain)
    checked: dict[str, Checked] = {}
    for number, item in enumerate(found.items, 1):
        looked = look(item.image, item.name, limits)
        sha256 = _hash(item.image)
        if sha256 not in checked:
            mask = None
            if item.mask is not None:
                ids = _translated(item, item.mask((looked.height, looked.width)), table, domain)
                mask = scratch / f"{number}.png"
                mask.write_bytes(mask_file(ids))
            checked[sha256] = Checked(item, sha256, looked, _about(item, looked, found, domain), mask)
        seen(number, len(found.items))
    return [checked[sha256] for sha256 in sorted(checked)], len(found.items) - len(checked)


def _about(item: Item, looked: Looked, found: Found, domain: Domain) -> ImageAbout:
    """What is told of a picture; the size of a pixel as its own file has it, else as the set has it."""
    group = (item.group or "").strip() or None
    if group is not None and not is_text(group):
        raise BadInputError(f"{item.name}: its group {group[:60]!a} is no text; write it anew")
    try:
        return ImageAbout(
            domain=domain.name,
            filename=item.name[-1000:],
            modality=domain.modality,
            pitch_mm=found.pitch_mm if looked.pitch_mm is None else None,
            weld=group,
            side=item.side,
        )
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        field = {"weld": "group"}.get(str(first["loc"][0]), first["loc"][0])
        raise BadInputError(f"{item.name}: {field}: {first['msg']}; correct it in the set") from error


def class_table(found: Found, domain: Domain) -> NDArray[np.int16]:
    """The domain's class id of each id of the set, -1 where there is none. BadInputError names unknown classes."""
    table = np.full(256, -1, dtype=np.int16)
    if domain.ignore is not None:
        table[domain.ignore] = domain.ignore
    if found.classes is None:
        table[: len(domain.classes)] = np.arange(len(domain.classes))
        return table
    unknown = [name for name in found.classes[1:] if name not in domain.classes]
    if unknown:
        raise BadInputError(
            f"the set has the classes {', '.join(unknown)[:300]}, which {domain.name} has not; it has "
            f"{', '.join(domain.classes)}; rename them, or import into a domain that has them"
        )
    table[: len(found.classes)] = [0, *(domain.classes.index(name) for name in found.classes[1:])]
    if found.ignore is not None:
        table[found.ignore] = -1 if domain.ignore is None else domain.ignore
    return table


def _translated(item: Item, ids: NDArray[np.uint8], table: NDArray[np.int16], domain: Domain) -> NDArray[np.uint8]:
    translated = table[ids]
    if (translated < 0).any():
        strange = sorted({int(number) for number in np.unique(ids) if table[number] < 0})
        raise BadInputError(
            f"{item.name}: its mask has the values {', '.join(map(str, strange[:8]))}, but {domain.name} has class ids "
            f"0..{len(domain.classes) - 1}" + ("" if domain.ignore is None else f" and {domain.ignore} (ignore)")
        )
    return translated.astype(np.uint8)


def commit_set(
    app: App,
    actor: Actor,
    domain: Domain,
    checked: Sequence[Checked],
    fence: Callable[[Session], None],
    done: Callable[[int, int], None],
) -> Tally:
    """Keeps a set that was looked at: its images, and the masks that their history does not hold yet. Raises
    RefusedError, before anything is kept, for one that holds a picture that was deleted here.

    fence: called in every transaction, to end what must not go on. done: told after each batch how many are kept.
    """
    tally = Tally()
    batches = [checked[start : start + _BATCH] for start in range(0, len(checked), _BATCH)]
    with reading(app.database) as session:
        for batch in batches:
            _refuse_deleted(session, batch)
    kept = 0
    for batch in batches:
        with shelf(app) as objects:
            put = [_put(objects, one) for one in batch]
            with writing(app.database) as session:
                fence(session)
                known = _known(session, batch)
                for one, (arrival, mask) in zip(batch, put, strict=True):
                    image = add_image(session, objects, actor, arrival, audited=False)
                    tally.count(image, one.sha256 not in known, one.item.side, domain)
                    if mask is not None and _is_news(session, image, mask, domain):
                        claim = Claim(image.id, domain.id, mask, None)
                        add_annotation(session, objects, actor, claim, Origin.DRAWN, audited=False)
                        tally.masks += 1
        kept += len(batch)
        done(kept, len(checked))
    return tally


def _put(objects: Shelf, one: Checked) -> tuple[Arrival, Stored | None]:
    arrival = Arrival(objects.put_file(one.item.image), one.looked, one.about)
    if arrival.stored.sha256 != one.sha256:
        raise BadInputError(f"{one.item.name}: it changed while it was imported; import the set again")
    return arrival, None if one.mask is None else objects.put_file(one.mask)


def _refuse_deleted(session: Session, batch: Sequence[Checked]) -> None:
    names = {one.sha256: one.item.name for one in batch}
    gone = session.scalars(select(Image).where(Image.sha256.in_(names), Image.deleted_at.is_not(None)))
    if told := ", ".join(f"{names[image.sha256]} (image {image.id})" for image in gone):
        raise RefusedError(f"{told[:500]}: deleted here, and not taken in again; remove it from the set")


def _known(session: Session, batch: Sequence[Checked]) -> set[str]:
    """The hashes of those images that are there."""
    return set(session.scalars(select(Image.sha256).where(Image.sha256.in_([one.sha256 for one in batch]))))


def _is_news(session: Session, image: Image, mask: Stored, domain: Domain) -> bool:
    """Whether nobody said this of the image before: an import done again says nothing over a later correction."""
    said = select(Annotation.id).where(Annotation.image_id == image.id, Annotation.mask_sha256 == mask.sha256)
    return image.domain_id == domain.id and session.scalar(said.limit(1)) is None


def _hash(path: Path) -> str:
    digest = hashlib.sha256()
    for chunk in chunks_of(path):
        digest.update(chunk)
    return digest.hexdigest()
