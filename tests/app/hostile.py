"""Files made to break a service, each with the status that it must be answered with."""

from __future__ import annotations

import io
import json
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image as Pillow

from seamwise.vision.png import encode_png
from tests.app.pictures import mask, picture

Made = Callable[[], tuple[bytes, int]]


# --- pictures


def chunk(kind: bytes, body: bytes, crc: int | None = None) -> bytes:
    check = zlib.crc32(kind + body) if crc is None else crc
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)


def png(width: int, height: int, data: bytes, *, depth: int = 8, colour: int = 0, before: bytes = b"") -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def tiff(pages: list[dict[int, tuple[int, int]]], data: bytes = b"", *, loop: bool = False) -> bytes:
    """A little-endian TIFF: each page its tags as {tag: (type, value)}; `data` begins at byte 8."""
    out = bytearray(b"II*\0" + struct.pack("<I", 8 + len(data)) + data)
    for number, tags in enumerate(pages):
        body = struct.pack("<H", len(tags))
        for tag, (kind, value) in sorted(tags.items()):
            body += struct.pack("<HHI", tag, kind, 1) + struct.pack("<I", value)
        here = len(out)
        last = number == len(pages) - 1
        following = (8 + len(data) if loop else 0) if last else here + len(body) + 4
        out += body + struct.pack("<I", following)
    return bytes(out)


def page(width: int, height: int, *, compression: int = 1, count: int = 0, **more: int) -> dict[int, tuple[int, int]]:
    tags = {256: width, 257: height, 258: 8, 259: compression, 262: 1, 273: 8, 277: 1, 278: height, 279: count}
    names = {"subfile": 254, "bits": 258, "samples": 277, "format": 339, "tile_width": 322, "tile_height": 323}
    return {tag: (4, value) for tag, value in (tags | {names[name]: value for name, value in more.items()}).items()}


def deflated_bomb() -> bytes:
    data = zlib.compress(bytes(64 << 20), 9)
    return tiff([page(16, 16, compression=8, count=len(data))], data)


def jpeg(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Pillow.new("L", (16, 16), 7).save(buffer, "JPEG")
    data = bytearray(buffer.getvalue())
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def two_frames() -> bytes:
    """A JPEG whose second frame header claims more than its first."""
    small, large = jpeg(16, 16), jpeg(60000, 60000)
    frame = large[large.index(b"\xff\xc0") :][:13]
    at = small.index(b"\xff\xda")
    return small[:at] + frame + small[at:]


def saved(kind: str, mode: str = "L") -> bytes:
    buffer = io.BytesIO()
    Pillow.new(mode, (8, 6)).save(buffer, kind)
    return buffer.getvalue()


ROW = zlib.compress(bytes(9 * 6))
PICTURES: dict[str, Made] = {
    "nothing": lambda: (b"", 422),
    "text": lambda: (b"hello, this is a picture", 415),
    "html that says it is a picture": lambda: (b"<html><script>alert(1)</script></html>", 415),
    "svg with a script": lambda: (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", 415),
    "a gif": lambda: (saved("GIF", "P"), 415),
    "a bmp": lambda: (saved("BMP"), 415),
    "a pdf": lambda: (b"%PDF-1.7\n1 0 obj<<>>endobj", 415),
    "a program": lambda: (b"\x7fELF\x02\x01\x01" + bytes(100), 415),
    "a zip": lambda: (zipped({"a.png": picture()}), 415),
    "an npy": lambda: (b"\x93NUMPY\x01\0" + bytes(100), 415),
    "a pickle": lambda: (b"\x80\x04cos\nsystem\n(S'true'\ntR.", 415),
    "png bomb: 60000 x 60000 of zeros": lambda: (png(60000, 60000, zlib.compress(bytes(1 << 20))), 413),
    "png of 4 billion pixels squared": lambda: (png(2**31 - 1, 2**31 - 1, ROW), 413),
    "png of no pixels": lambda: (png(0, 6, ROW), 422),
    "png whose data are too short": lambda: (png(1000, 1000, ROW), 422),
    "png of an unknown colour type": lambda: (png(8, 6, ROW, colour=5), 422),
    "png with 16-bit palette": lambda: (png(8, 6, ROW, depth=16, colour=3), 422),
    "png without its palette": lambda: (png(8, 6, ROW, colour=3), 422),
    "png with an unknown critical chunk": lambda: (png(8, 6, ROW, before=chunk(b"EVIL", b"x")), 422),
    "png with a wrong checksum": lambda: (png(8, 6, ROW).replace(chunk(b"IDAT", ROW), chunk(b"IDAT", ROW, crc=1)), 422),
    "png cut short": lambda: (picture()[:-30], 422),
    "png signature alone": lambda: (b"\x89PNG\r\n\x1a\n", 422),
    "png with damaged data": lambda: (png(8, 6, b"\x78\x9c" + b"\xff" * 30), 422),
    "png whose chunk is longer than the file": lambda: (picture()[:33] + struct.pack(">I", 2**31) + b"IDAT", 422),
    "jpeg bomb": lambda: (jpeg(60000, 60000), 413),
    "jpeg with a second, larger frame": lambda: (two_frames(), 413),
    "jpeg cut short": lambda: (jpeg(16, 16)[:200], 422),
    "jpeg signature alone": lambda: (b"\xff\xd8\xff", 422),
    "jpeg of no height": lambda: (jpeg(16, 0), 422),
    "tiff bomb by size": lambda: (tiff([page(60000, 60000, count=64)], bytes(64)), 413),
    "tiff bomb by what it unpacks to": lambda: (deflated_bomb(), 422),
    "tiff with a huge preview first": lambda: (
        tiff([page(60000, 60000, compression=5, count=64, subfile=1), page(8, 8, count=64)], bytes(64)),
        413,
    ),
    "tiff of huge tiles": lambda: (
        tiff([page(8, 8, compression=8, count=64, tile_width=65536, tile_height=65536)], bytes(64)),
        413,
    ),
    "tiff of a hundred pages": lambda: (tiff([page(8, 8, count=64)] * 100, bytes(64)), 422),
    "tiff of two pages": lambda: (tiff([page(8, 8, count=64)] * 2, bytes(64)), 422),
    "tiff whose pages go round in a circle": lambda: (tiff([page(8, 8, count=64)] * 3, bytes(64), loop=True), 422),
    "tiff of floating point, NaN": lambda: (
        tiff([page(4, 4, count=64, bits=32, format=3)], np.full(16, np.nan, np.float32).tobytes()),
        422,
    ),
    "tiff signature alone": lambda: (b"II*\0", 422),
    "tiff that points out of the file": lambda: (b"II*\0" + struct.pack("<I", 2**31), 422),
    "tiff whose data are not there": lambda: (tiff([page(100, 100, count=64)], bytes(64)), 422),
    "tiff without tags": lambda: (tiff([{}]), 422),
}
MASKS: dict[str, Made] = {
    "mask of another size": lambda: (mask(shape=(8, 6)), 422),
    "mask with ids of no class": lambda: (encode_png(np.full((6, 8, 1), 9, np.uint8)), 422),
    "mask of 16 bits with large ids": lambda: (encode_png(np.full((6, 8, 1), 40000, np.uint16)), 422),
    "mask in colour": lambda: (encode_png(np.arange(144, dtype=np.uint8).reshape(6, 8, 3)), 422),
    "mask as jpeg": lambda: (saved("JPEG"), 422),
    "mask bomb": lambda: (png(60000, 60000, zlib.compress(bytes(1 << 20))), 413),
    "mask of text": lambda: (b"0 0 0 1", 415),
    "mask of nothing": lambda: (b"", 422),
    "mask cut short": lambda: (mask()[:-30], 422),
}


# --- archives


def zipped(files: Mapping[str, bytes], *, comment: bytes = b"", compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.comment = comment
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    return buffer.getvalue()


def entry(
    name: str, content: bytes, *, mode: int = stat.S_IFREG | 0o644, claimed: int | None = None, **fields: int
) -> bytes:
    """An archive of one member. claimed: the size that its table gives; fields: of the table's entry."""
    member = zipfile.ZipInfo("x" * len(name.encode()))
    member.external_attr = mode << 16
    member.create_system = 3
    for field, value in fields.items():
        setattr(member, field, value)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(member, content)
    data = buffer.getvalue().replace(b"x" * len(name.encode()), name.encode())
    if claimed is not None:
        data = data.replace(struct.pack("<II", len(content), len(content)), struct.pack("<II", len(content), claimed))
    return data


def patched(data: bytes, signature: bytes, at: int, value: bytes) -> bytes:
    """An archive with some bytes after each such signature replaced."""
    out = bytearray(data)
    place = out.find(signature)
    while place >= 0:
        out[place + at : place + at + len(value)] = value
        place = out.find(signature, place + 4)
    return bytes(out)


def encrypted() -> bytes:
    data = zipped({"a.png": b"secret"})
    return patched(patched(data, b"PK\1\2", 8, b"\1\0"), b"PK\3\4", 6, b"\1\0")


def overlapping() -> bytes:
    """Two entries of the table that mean the same bytes: how a few kilobytes become petabytes."""
    data = zipped({"a" * 8: b"z" * 4000, "b" * 8: b"y"})
    first = data.index(b"PK\1\2")
    second = data.index(b"PK\1\2", first + 4)
    out = bytearray(data)
    out[second + 16 : second + 28] = out[first + 16 : first + 28]  # checksum and sizes
    out[second + 42 : second + 46] = out[first + 42 : first + 46]  # where it begins
    return bytes(out)


def pair(first: str, second: str) -> bytes:
    """Two members of any names, equal ones too."""
    a, b = "1" * len(first.encode()), "2" * len(second.encode())
    data = zipped({a: b"x", b: b"y"})
    return data.replace(a.encode(), first.encode()).replace(b.encode(), second.encode())


def ratio_bomb() -> bytes:
    return zipped({"zeros.png": bytes(32 << 20)}, compression=zipfile.ZIP_DEFLATED)


ARCHIVES: dict[str, Made] = {
    "no archive": lambda: (b"not an archive, though it is called one", 415),
    "a tar": lambda: (b"x" * 257 + b"ustar\0" + bytes(1000), 415),
    "a gzip": lambda: (b"\x1f\x8b\x08" + bytes(100), 415),
    "an archive cut short": lambda: (zipped({"a.png": picture()})[:-10], 415),
    "an archive of nothing": lambda: (zipped({}), 422),
    "an archive of junk alone": lambda: (zipped({"__MACOSX/x": b"1"}), 422),
    "zip slip": lambda: (entry("../../evil.png", picture()), 422),
    "zip slip inside": lambda: (entry("images/../../evil.png", picture()), 422),
    "an absolute path": lambda: (entry("/etc/cron.d/evil", b"x"), 422),
    "a drive letter": lambda: (entry("C:/windows/evil.png", b"x"), 422),
    "backslashes": lambda: (entry("..\\..\\evil.png", b"x"), 422),
    "a NUL in a name": lambda: (entry("evil.png\0.txt", b"x"), 422),
    "a newline in a name": lambda: (entry("evil\n.png", b"x"), 422),
    "an empty folder name": lambda: (entry("a//b.png", b"x"), 422),
    "a dot for a folder": lambda: (entry("./b.png", b"x"), 422),
    "a very long name": lambda: (entry("n" * 300, b"x"), 422),
    "a very deep folder": lambda: (entry("a/" * 40 + "b.png", b"x"), 422),
    "a symbolic link": lambda: (entry("images/a.png", b"/etc/passwd", mode=stat.S_IFLNK | 0o777), 422),
    "a device": lambda: (entry("images/a.png", b"", mode=stat.S_IFBLK | 0o666), 422),
    "a fifo": lambda: (entry("images/a.png", b"", mode=stat.S_IFIFO | 0o666), 422),
    "names that differ in case only": lambda: (pair("images/a.png", "images/A.png"), 422),
    "folders that differ in case only": lambda: (pair("images/a.png", "Images/b.png"), 422),
    "names that differ in how accents are written": lambda: (zipped({"\u00e9.png": b"x", "e\u0301.png": b"y"}), 422),
    "the same name twice": lambda: (pair("images/a.png", "images/a.png"), 422),
    "a file where a folder is needed": lambda: (pair("images", "images/a.png"), 422),
    "an archive in an archive": lambda: (zipped({"inner.zip": zipped({"a": b"x"})}), 422),
    "a bomb of zeros": lambda: (ratio_bomb(), 413),
    "a size of four gigabytes claimed": lambda: (entry("a.png", b"x" * 5000, claimed=2**32 - 2), 413),
    "encrypted": lambda: (encrypted(), 422),
    "packed with lzma": lambda: (zipped({"a.png": picture()}, compression=zipfile.ZIP_LZMA), 422),
    "entries over one another": lambda: (overlapping(), 422),
    "a table of contents that is not there": lambda: (
        patched(zipped({"a.png": picture()}), b"PK\5\6", 12, struct.pack("<I", 2**31)),
        413,
    ),
    "a table of contents larger than the archive": lambda: (
        patched(zipped({"a.png": picture()}), b"PK\5\6", 12, struct.pack("<I", 100_000)),
        422,
    ),
    "a damaged table of contents": lambda: (patched(zipped({"a.png": picture()}), b"PK\1\2", 0, b"EVIL"), 422),
}


# --- sets whose tables of contents are harmless: the import's job ends with an error and keeps nothing


def coco(**changes: object) -> bytes:
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 8, "height": 6}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[1, 1, 5, 1, 5, 4]]}],
        "categories": [{"id": 1, "name": "crack"}],
    }
    return zipped({"a.png": picture(), "set.json": json.dumps(content | changes).encode()})


def labelme(**changes: object) -> bytes:
    shape = {"label": "crack", "points": [[1, 1], [5, 1], [5, 4]], "shape_type": "polygon"}
    content = {"version": "5", "shapes": [shape], "imagePath": "a.png", "imageData": None} | changes
    return zipped({"a.png": picture(), "a.json": json.dumps(content).encode()})


def folder(files: Mapping[str, bytes]) -> bytes:
    return zipped({"images/a.png": picture(1), "masks/a.png": mask(1)} | dict(files))


def area(segmentation: object) -> dict[str, object]:
    return {"annotations": [{"id": 1, "image_id": 1, "category_id": 1, "segmentation": segmentation}]}


SETS: dict[str, Callable[[], bytes]] = {
    "a damaged picture among good ones": lambda: folder({"images/b.png": picture(2)[:-20]}),
    "a picture that is text": lambda: folder({"images/b.png": b"hello"}),
    "a picture bomb": lambda: folder({"images/b.png": PICTURES["png bomb: 60000 x 60000 of zeros"]()[0]}),
    "a mask of another size": lambda: folder({"images/b.png": picture(2), "masks/b.png": mask(shape=(8, 6))}),
    "a mask with an unknown id": lambda: folder(
        {"images/b.png": picture(2), "masks/b.png": encode_png(np.full((6, 8, 1), 7, np.uint8))}
    ),
    "a mask without a picture": lambda: folder({"masks/b.png": mask()}),
    "two pictures of one stem": lambda: folder({"images/a.tif": saved("TIFF")}),
    "a list that names what is not there": lambda: folder({"train.txt": b"../../etc/passwd\n"}),
    "a picture in two lists": lambda: folder({"train.txt": b"a\n", "test.txt": b"a\n"}),
    "domain.yaml that is no YAML": lambda: folder({"domain.yaml": b"classes: [a, b"}),
    "domain.yaml that makes objects": lambda: folder({"domain.yaml": b"!!python/object/apply:os.system ['true']"}),
    "domain.yaml with other classes": lambda: folder({"domain.yaml": b"classes: [background, dragon]"}),
    "index.csv that is no text": lambda: folder({"index.csv": b"\xff\xfe\x00\x01"}),
    "no pictures": lambda: zipped({"readme.txt": b"hello"}),
    "JSON that is none": lambda: zipped({"a.png": picture(), "set.json": b"{"}),
    "JSON nested without end": lambda: zipped({"a.png": picture(), "set.json": b"[" * 200_000}),
    "JSON with NaN": lambda: coco().replace(b"[1, 1, 5, 1, 5, 4]", b"[1, 1, NaN, 1, 4,4]"),
    "COCO: images is no list": lambda: coco(images={"id": 1}),
    "COCO: images are no objects": lambda: coco(images=[1, 2]),
    "COCO: a path out of the set": lambda: coco(images=[{"id": 1, "file_name": "../../../etc/passwd"}]),
    "COCO: an absolute path": lambda: coco(images=[{"id": 1, "file_name": "/etc/passwd"}]),
    "COCO: a picture that is not there": lambda: coco(images=[{"id": 1, "file_name": "b.png"}]),
    "COCO: an unknown category": lambda: coco(categories=[{"id": 2, "name": "crack"}]),
    "COCO: a class that the domain has not": lambda: coco(categories=[{"id": 1, "name": "dragon"}]),
    "COCO: an annotation of no picture": lambda: coco(annotations=[{"id": 1, "image_id": 5, "category_id": 1}]),
    "COCO: half a point": lambda: coco(**area([[1, 1, 5, 1, 5]])),
    "COCO: a point at infinity": lambda: coco(**area([[1, 1, 1e308, 1, 5, 4]])),
    "COCO: an area of text": lambda: coco(**area("everything")),
    "COCO: run lengths that do not fill": lambda: coco(**area({"size": [6, 8], "counts": [5, 5]})),
    "COCO: run lengths of another size": lambda: coco(**area({"size": [60000, 60000], "counts": [3600000000]})),
    "COCO: run lengths without end": lambda: coco(**area({"size": [6, 8], "counts": [2**62] * 4})),
    "COCO: damaged run lengths": lambda: coco(**area({"size": [6, 8], "counts": "~~~~"})),
    "LabelMe: no shapes": lambda: labelme(shapes=5),
    "LabelMe: an unknown kind of shape": lambda: labelme(
        shapes=[{"label": "crack", "points": [[1, 1]], "shape_type": "point"}]
    ),
    "LabelMe: points that are none": lambda: labelme(
        shapes=[{"label": "crack", "points": [1, 2, 3], "shape_type": "polygon"}]
    ),
    "LabelMe: a class that the domain has not": lambda: labelme(
        shapes=[{"label": "dragon", "points": [[1, 1], [5, 1], [5, 4]], "shape_type": "polygon"}]
    ),
    "LabelMe: a picture out of the set": lambda: labelme(imagePath="../../../etc/passwd"),
    "LabelMe: damaged pixels": lambda: labelme(imagePath="none.png", imageData="!!!"),
    "LabelMe: pixels that are no picture": lambda: labelme(imagePath="none.png", imageData="aGVsbG8="),
    "LabelMe: a mask out of the picture": lambda: labelme(
        shapes=[{"label": "crack", "points": [[5, 5], [99, 99]], "shape_type": "mask", "mask": "aGVsbG8="}]
    ),
}
