"""`seamwise remote`: domains, images, sets to import, snapshots."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path
from typing import Annotated

import typer

from seamwise.cli.calling import LimitOption, WaitOption, client_of, finish, show, show_one
from seamwise.cli.console import Bars, say, stage, write_json
from seamwise.cli.plain_options import JsonOption
from seamwise.client import Client
from seamwise.errors import BadInputError, UsageError

domains = typer.Typer(help="Kinds of pictures.", no_args_is_help=True)
images = typer.Typer(help="Pictures, and what is said of them.", no_args_is_help=True)
snapshots = typer.Typer(help="Lists of labelled images that never change.", no_args_is_help=True)
Number = Annotated[int, typer.Argument(min=1, help="The image's number.")]


@domains.command(name="list")
def list_domains(context: typer.Context, limit: LimitOption = 50, json_file: JsonOption = None) -> None:
    """List the domains, oldest first."""
    show(client_of(context).domains.list(), ["name", "modality", "classes", "pitch_mm"], limit, json_file)


@domains.command(name="make")
def make_domain(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Lower case, as in addresses.")],
    modality: Annotated[str, typer.Option(help="How its pictures are taken, such as radiography.")],
    classes: Annotated[list[str], typer.Option("--class", help="A class, background first (repeatable).")],
    ignore: Annotated[int | None, typer.Option(min=0, max=255, help="Mask value that counts nowhere.")] = None,
    pitch_mm: Annotated[float | None, typer.Option(help="Millimetres a pixel.")] = None,
    json_file: JsonOption = None,
) -> None:
    """Make a domain."""
    client = client_of(context)
    show_one(
        client.domains.create(name, modality=modality, classes=classes, ignore=ignore, pitch_mm=pitch_mm), json_file
    )


@images.command(name="list")
def list_images(
    context: typer.Context,
    domain: Annotated[str | None, typer.Argument(help="Only those of this domain.")] = None,
    unassigned: Annotated[bool, typer.Option("--unassigned", help="Only those that wait for a domain.")] = False,
    limit: LimitOption = 50,
    json_file: JsonOption = None,
) -> None:
    """List images, newest first."""
    if domain and unassigned:
        raise UsageError("--unassigned: those are in no domain; leave the domain out")
    found = client_of(context).images.list(domain, unassigned=unassigned)
    show(found, ["id", "domain", "side", "filename", "width", "height", "bits", "weld"], limit, json_file)


@images.command()
def add(
    context: typer.Context,
    domain: str,
    files: Annotated[list[Path], typer.Argument(help="PNG, TIFF or JPEG.")],
    weld: Annotated[str | None, typer.Option(help="The weld that all of them show.")] = None,
    json_file: JsonOption = None,
) -> None:
    """Send pictures into a domain, all or none."""
    if absent := [str(file) for file in files if not file.is_file()]:
        raise BadInputError(f"{absent[0]}: there is no such file")
    made = client_of(context).images.add(domain, files, weld=weld)
    show(made, ["id", "filename", "side"], len(made), json_file)


@images.command()
def assign(context: typer.Context, number: Number, domain: str, json_file: JsonOption = None) -> None:
    """Sort an image into a domain."""
    show_one(client_of(context).images.assign(number, domain), json_file)


@images.command()
def annotate(
    context: typer.Context,
    number: Number,
    mask: Annotated[Path | None, typer.Option(help="A PNG or TIFF of class ids.")] = None,
    label: Annotated[str | None, typer.Option(help="One class for the whole image.")] = None,
    json_file: JsonOption = None,
) -> None:
    """Say what an image shows."""
    show_one(client_of(context).images.annotate(number, mask=mask, label=label), json_file)


@images.command()
def delete(
    context: typer.Context,
    number: Number,
    reason: Annotated[str, typer.Option(help="Why, for the audit.")],
    json_file: JsonOption = None,
) -> None:
    """Delete a picture and what was said of it, for good."""
    client_of(context).images.delete(number, reason=reason)
    print(f"image {number} is deleted; its hash stays", file=stage(json_file))
    write_json(json_file, {"id": number})


def import_(
    context: typer.Context,
    domain: str,
    source: Annotated[Path, typer.Argument(help="A zip archive, or a folder, which is packed first.")],
    format: Annotated[str, typer.Option(help="folder, coco, labelme, or auto to look.")] = "auto",
    resume: Annotated[str | None, typer.Option(help="The upload that was broken off; its number was printed.")] = None,
    wait: WaitOption = True,
    json_file: JsonOption = None,
) -> None:
    """Send a set of labelled pictures in resumable pieces, and make them images of a domain.

    A domain that is not there is made as the folder describes it.
    """
    client = client_of(context)
    if source.is_dir() and domain not in {known.name for known in client.domains.list()}:
        _make_as_described(client, domain, source)
    with tempfile.TemporaryDirectory(prefix="seamwise-") as folder:
        archive = source if source.is_file() else _packed(source, Path(folder) / f"{source.absolute().name}.zip")
        upload = resume or client.uploads.begin(archive.name, archive.stat().st_size)
        print(f"upload {upload}", file=stage(json_file))
        job = _send(client, archive, upload)
    if job is not None:
        client.jobs.wait(job)
    finish(client, client.imports.start(domain, upload=upload, format=format), wait, json_file)


def _make_as_described(client: Client, name: str, folder: Path) -> None:
    from seamwise.vision.domain import read_domain  # loads what reads pictures, which no other command here needs

    found = read_domain(folder, name)
    client.domains.create(
        name, modality=found.modality, classes=found.classes, ignore=found.ignore, pitch_mm=found.pitch_mm
    )
    say(f"made the domain {name}: {found.modality}, {', '.join(found.classes)}")


def _send(client: Client, archive: Path, upload: str) -> int | None:
    with Bars() as bars:
        name = f"sending {archive.name}"
        sent = client.uploads.send(
            archive, resume=upload, progress=lambda there, size: bars.show(name, there / size if size else 1.0)
        )
        bars.done(name)
    return sent.job


def _packed(folder: Path, archive: Path) -> Path:
    files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []
    if not files:
        raise BadInputError(f"{folder}: no archive and no folder with files")
    # Stored, as pictures are compressed already; not strict, as an archive knows no time before 1980.
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED, strict_timestamps=False) as packed:
        for path in files:
            packed.write(path, path.relative_to(folder))
    return archive


@snapshots.command(name="list")
def list_snapshots(context: typer.Context, limit: LimitOption = 50, json_file: JsonOption = None) -> None:
    """List snapshots, newest first."""
    show(client_of(context).snapshots.list(), ["id", "kind", "size", "digest", "created_at"], limit, json_file)


@snapshots.command(name="make")
def make_snapshot(context: typer.Context, names: list[str], json_file: JsonOption = None) -> None:
    """Freeze what is labelled in these domains now."""
    show_one(client_of(context).snapshots.create(names), json_file)


@snapshots.command()
def qualify(
    context: typer.Context,
    domain: str,
    reason: Annotated[str, typer.Option(help="Why the set that counts changes.")],
    json_file: JsonOption = None,
) -> None:
    """Freeze a domain's labelled test images as the set that candidates are judged on from now on."""
    show_one(client_of(context).snapshots.qualify(domain, reason), json_file)


@snapshots.command()
def export(
    context: typer.Context,
    number: Annotated[int, typer.Argument(min=1, help="The snapshot's number.")],
    target: Annotated[Path, typer.Argument(help="The zip archive to write.")],
    format: Annotated[str, typer.Option(help="folder, coco or labelme.")] = "folder",
    json_file: JsonOption = None,
) -> None:
    """Write a snapshot's images and masks as a zip archive."""
    client = client_of(context)
    job = client.jobs.wait(client.snapshots.export(number, format=format).id)
    written = client.snapshots.download_export(number, job.id, target)
    print(f"written to {written}", file=stage(json_file))
    write_json(json_file, {"file": str(written), "job": job.id})


import_.__name__ = "import"
GROUPS = {"domains": domains, "images": images, "snapshots": snapshots}
COMMANDS = (import_,)
