"""domain.yaml: what a domain's pictures are, in five fields.

name: steel A
modality: radiography
classes: [background, crack, porosity]
ignore: 255          # optional: mask value that is left out
pitch_mm: 0.05       # optional: size of a pixel
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from reprlib import repr as brief  # a few lines of YAML can unfold to gigabytes

import yaml

from seamwise.errors import BadInputError
from seamwise.files import atomic_write
from seamwise.vision.domain_table import read_text


@dataclass(frozen=True)
class Description:
    """The fields of domain.yaml; classes: names by class id, background first; name: None means the folder's."""

    classes: tuple[str, ...]
    name: str | None = None
    modality: str = "unknown"
    ignore: int | None = None
    pitch_mm: float | None = None


def read_domain_yaml(path: Path) -> Description | None:
    """Read domain.yaml, or None when there is none; BadInputError names the file and the field."""
    if not path.exists():
        return None
    try:
        content = yaml.safe_load(read_text(path))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        # One line is enough for a person: PyYAML's own message spreads over five.
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        raise BadInputError(f"{path}{line}: it is not valid YAML ({getattr(error, 'problem', error)})") from error
    if not isinstance(content, dict):
        raise BadInputError(f"{path}: it must hold fields such as `classes: [background, crack]`")
    known = [field.name for field in fields(Description)]
    for key in content:
        if key not in known:
            nearest = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean `{nearest[0]}`?" if nearest else f"the fields are {', '.join(known)}"
            raise BadInputError(f"{path}: there is no field `{key}`; {hint}")
    if content.get("classes") is None:
        raise BadInputError(f"{path}: `classes` is missing; write e.g. `classes: [background, crack]`")
    return _checked(path, {key: value for key, value in content.items() if value is not None})


def write_domain_yaml(
    folder: str | Path,
    *,
    name: str,
    modality: str,
    classes: Sequence[str],
    ignore: int | None = None,
    pitch_mm: float | None = None,
) -> Path:
    """Write domain.yaml into a domain's folder and return its path; BadInputError names a field that is not right."""
    path = Path(folder) / "domain.yaml"
    given: dict[str, object] = {
        "name": name,
        "modality": modality,
        "classes": list(classes),
        "ignore": ignore,
        "pitch_mm": pitch_mm,
    }
    content = {key: value for key, value in given.items() if value is not None}
    _checked(path, content)
    atomic_write(path, yaml.safe_dump(content, sort_keys=False, allow_unicode=True).encode())
    return path


def _checked(path: Path, content: Mapping[str, object]) -> Description:
    for key in ("name", "modality"):
        value = content.get(key, "unknown")
        if not isinstance(value, str) or not value.strip():
            raise BadInputError(
                f"{path}: `{key}` is {brief(value)}; write a name, in quotes if YAML takes it for a number"
            )
    classes = _checked_classes(path, content["classes"])
    ignore = content.get("ignore")
    if ignore is not None and (isinstance(ignore, bool) or not isinstance(ignore, int) or not 0 <= ignore <= 255):
        raise BadInputError(f"{path}: `ignore` is {brief(ignore)}; write a mask value from {len(classes)} to 255")
    if ignore is not None and ignore < len(classes):
        raise BadInputError(f"{path}: `ignore` {ignore} is class {classes[ignore]!r}; choose {len(classes)} to 255")
    pitch = content.get("pitch_mm")
    if pitch is not None and (
        isinstance(pitch, bool) or not isinstance(pitch, int | float) or not math.isfinite(pitch) or pitch <= 0
    ):
        raise BadInputError(f"{path}: `pitch_mm` is {brief(pitch)}; write a pixel's size in millimetres, such as 0.05")
    name, modality = content.get("name"), content.get("modality", "unknown")
    return Description(
        classes, None if name is None else str(name), str(modality), ignore, None if pitch is None else float(pitch)
    )


def _checked_classes(path: Path, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not 2 <= len(value) <= 255:
        raise BadInputError(f"{path}: `classes` must list 2 to 255 names, background first: [background, crack]")
    for number, name in enumerate(value):
        if not isinstance(name, str) or not name.strip():
            raise BadInputError(
                f"{path}: `classes` number {number} is {brief(name)}, not a name; write one, in quotes if need be"
            )
        if name in value[:number]:
            raise BadInputError(f"{path}: `classes` has {brief(name)} twice; every class needs a name of its own")
    return tuple(value)
