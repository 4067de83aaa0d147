"""Pictures: domains, images and what is said of them, sets to import, snapshots."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

from seamwise.client.calls import Calls, path_part, told
from seamwise.client.records import Annotation, Domain, Image, Job, QualificationSet, Snapshot

Picture = Path | bytes


class Domains:
    """Kinds of pictures."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def create(
        self,
        name: str,
        *,
        modality: str,
        classes: Sequence[str],
        ignore: int | None = None,
        pitch_mm: float | None = None,
    ) -> Domain:
        """Makes a domain. classes: names by class id, background first; ignore: mask value that counts nowhere."""
        content = {"name": name, "modality": modality, "classes": list(classes), "ignore": ignore, "pitch_mm": pitch_mm}
        return self._calls.post("/domains", Domain, told(content))

    def list(self) -> Iterator[Domain]:
        """All domains, oldest first."""
        return self._calls.pages("/domains", Domain)

    def get(self, name: str) -> Domain:
        return self._calls.get(f"/domains/{path_part(name)}", Domain)


class Images:
    """Pictures, and what is said of them."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def add(
        self,
        domain: str,
        files: Sequence[Path],
        *,
        source: str = "offline",
        weld: str | None = None,
        part: str | None = None,
        modality: str | None = None,
        pitch_mm: float | None = None,
        captured_at: datetime | None = None,
    ) -> Sequence[Image]:
        """Takes pictures into a domain, all or none; a known one gives its known row. The other fields are for all."""
        fields = {"source": source, "weld": weld, "part": part, "modality": modality}
        fields["pitch_mm"] = None if pitch_mm is None else str(pitch_mm)
        fields["captured_at"] = None if captured_at is None else captured_at.isoformat()
        with ExitStack() as stack:
            sent = [("files", (path.name, stack.enter_context(path.open("rb")))) for path in files]
            # Not sent again by itself: the files have been read then.
            answer = self._calls.send("POST", f"/domains/{path_part(domain)}/images", data=told(fields), files=sent)
        return [Image.model_validate(each) for each in answer.json()]

    def list(self, domain: str | None = None, *, side: str | None = None, unassigned: bool = False) -> Iterator[Image]:
        """All images, newest first: of a domain, of one side of it, or those that wait for a domain."""
        if domain is None:
            return self._calls.pages("/images", Image, unassigned=unassigned or None)
        return self._calls.pages(f"/domains/{path_part(domain)}/images", Image, side=side)

    def get(self, number: int) -> Image:
        """One image; of a deleted one, what is left."""
        return self._calls.get(f"/images/{number}", Image)

    def download(self, number: int, target: Path) -> Path:
        """Writes the picture's file as it came."""
        return self._calls.download(f"/images/{number}/content", target)

    def assign(self, number: int, domain: str) -> Image:
        """Sorts an image into a domain."""
        answer = self._calls.send("PATCH", f"/images/{number}", json={"domain": domain}, again=True)
        return Image.model_validate(answer.json())

    def delete(self, number: int, *, reason: str | None = None) -> None:
        """Deletes a picture and what was said of it, for good."""
        self._calls.send("DELETE", f"/images/{number}", params=told({"reason": reason}), again=False)

    def annotations(self, number: int) -> Iterator[Annotation]:
        """All that was said of an image, newest first."""
        return self._calls.pages(f"/images/{number}/annotations", Annotation)

    def annotate(self, number: int, *, mask: Picture | None = None, label: str | None = None) -> Annotation:
        """Says what an image shows: a mask (a PNG or TIFF of class ids), or a label for all of it."""
        answer = self._calls.send(
            "POST", f"/images/{number}/annotations", data=told({"label": label}), files=sent_as("mask", mask)
        )
        return Annotation.model_validate(answer.json())

    def download_mask(self, number: int, annotation: int, target: Path) -> Path:
        """Writes the mask of an annotation: a grey PNG of class ids."""
        return self._calls.download(f"/images/{number}/annotations/{annotation}/mask", target)


class Imports:
    """Sets of labelled pictures that become images of a domain."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def start(self, domain: str, *, upload: str | None = None, path: str | None = None, format: str = "auto") -> Job:
        """Begins the import of an upload that is whole, or of a folder of the server.

        format: folder, coco, labelme, or auto.
        """
        content = {"domain": domain, "upload": upload, "path": path, "format": format}
        return self._calls.begin("/imports", told(content))


class Snapshots:
    """Lists of labelled images that never change, and the sets that candidates are judged on."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def create(self, domains: Sequence[str]) -> Snapshot:
        """Freezes what is labelled in these domains now, for training or export."""
        return self._calls.post("/snapshots", Snapshot, {"domains": list(domains)})

    def list(self, *, kind: str | None = None) -> Iterator[Snapshot]:
        """All snapshots, newest first. kind: training or qualification."""
        return self._calls.pages("/snapshots", Snapshot, kind=kind)

    def get(self, number: int) -> Snapshot:
        return self._calls.get(f"/snapshots/{number}", Snapshot)

    def qualify(self, domain: str, reason: str) -> QualificationSet:
        """Freezes a domain's labelled test images as the set that candidates are judged on from now on."""
        return self._calls.post("/snapshots/qualification", QualificationSet, {"domain": domain, "reason": reason})

    def qualifications(self) -> Sequence[QualificationSet]:
        """The sets that count now, by the domains' names."""
        found = self._calls.send("GET", "/snapshots/qualification").json()
        return [QualificationSet.model_validate(each) for each in found]

    def export(self, number: int, *, format: str = "folder") -> Job:
        """Begins the packing of a snapshot as folder, coco or labelme; then `download_export` it."""
        return self._calls.begin(f"/snapshots/{number}/exports", {"format": format})

    def download_export(self, number: int, job: int, target: Path) -> Path:
        """Writes the zip archive that an export's job made."""
        return self._calls.download(f"/snapshots/{number}/exports/{job}", target)


def sent_as(field: str, picture: Picture | None) -> dict[str, tuple[str, bytes]] | None:
    """A picture as a file of a form; bytes need no name of their own."""
    if picture is None:
        return None
    if isinstance(picture, bytes):
        return {field: (field, picture)}
    return {field: (picture.name, picture.read_bytes())}
