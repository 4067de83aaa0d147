"""A domain's index.csv: which weld or part a picture shows and which classes its mask holds."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from seamwise.errors import BadInputError


@dataclass(frozen=True)
class Row:
    """What index.csv says of one picture: its group ("" when unknown) and the class ids in its mask."""

    group: str
    classes: tuple[int, ...]


def read_table(path: Path) -> dict[str, Row]:
    """The rows of index.csv by stem; none when there is no such file. BadInputError names the line."""
    if not path.exists():
        return {}
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""), restval="")
    rows: dict[str, Row] = {}
    try:
        if "stem" not in (reader.fieldnames or ()):
            raise BadInputError(f"{path}: no column `stem` in the first line; add it, or remove the file")
        for row in reader:
            stem, where = row["stem"].strip(), f"{path}, line {reader.line_num}"
            if not stem:
                raise BadInputError(f"{where}: the stem is empty; give it or remove the line")
            if stem in rows:
                raise BadInputError(f"{where}: stem {stem!r} has a line already; remove one of them")
            rows[stem] = Row((row.get("group") or "").strip(), _class_ids(row.get("classes") or "", where))
    except csv.Error as error:
        raise BadInputError(f"{path}, line {reader.line_num}: {error}; save it as CSV with commas") from error
    return rows


def read_text(path: Path) -> str:
    """A text file as UTF-8, with or without a byte order mark; BadInputError names it when it is not."""
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInputError(f"{path}: it is not UTF-8 text; save it as UTF-8") from error
    except OSError as error:
        raise BadInputError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error


def _class_ids(cell: str, where: str) -> tuple[int, ...]:
    ids = []
    for word in cell.split():
        if not (word.isascii() and word.isdigit()) or int(word) > 255:
            raise BadInputError(f"{where}: {word!r} in column `classes` is not a class id; write ids as in `0 1 3`")
        ids.append(int(word))
    return tuple(ids)
