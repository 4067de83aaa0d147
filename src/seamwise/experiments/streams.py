"""The domains an experiment goes through, in order, with one set of classes over all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import yaml

from seamwise.continual import build_strategy
from seamwise.continual.catalogue import nearest
from seamwise.errors import BadInputError
from seamwise.experiments.plain_yaml import load_yaml
from seamwise.vision.domain import Domain, read_domain

ClassRule = Literal["same", "defect", "union"]
RULES: tuple[ClassRule, ...] = ("same", "defect", "union")


@dataclass(frozen=True)
class Stop:
    """One domain of a stream. remap: its mask ids -> the stream's. scale: its pictures are resized by this factor."""

    domain: Domain
    scale: float
    remap: tuple[int, ...]

    @property
    def name(self) -> str:
        return self.domain.name

    @property
    def ids(self) -> tuple[int, ...]:
        """The stream's class ids this domain can show."""
        return tuple(sorted(set(self.remap)))


@dataclass(frozen=True)
class DomainStream:
    """Domains in the order they are learned. classes: the stream's names by id, background first."""

    name: str
    rule: ClassRule
    classes: tuple[str, ...]
    ignore: int | None
    stops: tuple[Stop, ...]

    @property
    def class_sets(self) -> dict[int, tuple[int, ...]]:
        """task -> ids, where domains differ in what they can show."""
        return {task: stop.ids for task, stop in enumerate(self.stops)} if self.rule == "union" else {}

    @property
    def warnings(self) -> list[str]:
        return [f"{stop.name}: {warning}" for stop in self.stops for warning in stop.domain.warnings]

    def source(self) -> dict[str, Any]:
        """Where the stream comes from, as JSON values; another process opens the same stream from it."""
        domains = [
            {
                "path": str(stop.domain.root.resolve()),
                "name": stop.name,
                "scale": stop.scale,
                "labels": list(stop.domain.classes),
            }
            for stop in self.stops
        ]
        return {"name": self.name, "classes": self.rule, "domains": domains}

    def identity(self) -> dict[str, Any]:
        """What makes a run's result comparable with another's, as JSON values."""
        return {
            "name": self.name,
            "classes": list(self.classes),
            "domains": [
                {
                    "name": stop.name,
                    "scale": stop.scale,
                    "remap": list(stop.remap),
                    "images": {split: len(samples) for split, samples in stop.domain.samples.items()},
                    "files": _fingerprint(stop.domain),
                }
                for stop in self.stops
            ],
        }


@dataclass(frozen=True)
class StreamFile:
    """A stream with what its file says beside: the recipe's options and parameters of strategies."""

    stream: DomainStream
    recipe: dict[str, Any]
    strategies: dict[str, dict[str, Any]]


def read_stream(path: Path, root: Path | None = None) -> StreamFile:
    """Reads a stream file (YAML): name, classes (same | defect | union), domains (folders, or mappings of path, name,
    scale), recipe (see `Recipe`) and strategies (name -> parameters). Folders are relative to `root` or to the file.
    """
    try:
        content = load_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInputError(
            f"{path}: cannot be read ({error.strerror}); give a stream file or domain folders"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInputError(f"{path}: not a YAML file: {error}") from error
    known = ["name", "classes", "domains", "recipe", "strategies"]
    if not isinstance(content, dict) or not isinstance(content.get("domains"), list):
        raise BadInputError(f"{path}: a stream file needs a list 'domains' of folders")
    for key in content:
        if key not in known:
            raise BadInputError(f"{path}: unknown key {key!r}{nearest(str(key), known)}")
    for key in ("recipe", "strategies"):
        if not isinstance(content.get(key) or {}, dict):
            raise BadInputError(f"{path}: {key!r} must be a mapping")
    entries = [_entry(item, path) for item in content["domains"]]
    source = {
        "name": str(content.get("name", path.stem)),
        "classes": content.get("classes", "same"),
        "domains": [entry | {"path": str((root or path.parent) / entry["path"])} for entry in entries],
    }
    strategies = {str(name): _options(path, name, o) for name, o in (content.get("strategies") or {}).items()}
    return StreamFile(open_stream(source), dict(content.get("recipe") or {}), strategies)


def _options(path: Path, strategy: str, options: Any) -> dict[str, Any]:
    if not isinstance(options or {}, dict):
        raise BadInputError(f"{path}: strategies: {strategy} must be a mapping of parameters, not {options!r}")
    try:
        build_strategy(str(strategy), options or {})
    except ValueError as error:
        raise BadInputError(f"{path}: strategies: {error}") from error
    return dict(options or {})


def open_stream(source: Mapping[str, Any]) -> DomainStream:
    """The stream that `DomainStream.source()` describes."""
    entries = source["domains"]
    return join_domains(
        [_labelled(read_domain(entry["path"], entry.get("name")), entry.get("labels")) for entry in entries],
        name=source["name"],
        rule=source["classes"],
        scales=[float(entry.get("scale", 1.0)) for entry in entries],
    )


def _fingerprint(domain: Domain) -> str:
    """Changes when a picture or mask comes, goes, changes its split or its length in bytes; no file is read."""
    digest = hashlib.blake2b(digest_size=8)
    for split, samples in sorted(domain.samples.items()):
        for sample in sorted(samples, key=lambda sample: sample.stem):
            sizes = [path.stat().st_size for path in (sample.image, sample.mask) if path is not None]
            digest.update(repr((split, sample.stem, sizes)).encode())
    return digest.hexdigest()


def _labelled(domain: Domain, labels: Sequence[str] | None) -> Domain:
    """The domain with other names for its classes, for folders that do not name them."""
    if labels is None:
        return domain
    if len(labels) != len(domain.classes) or len(set(labels)) < len(labels):
        raise BadInputError(
            f"{domain.root}: labels must be {len(domain.classes)} different names, background first, not {list(labels)}"
        )
    return replace(domain, classes=tuple(str(label) for label in labels))


def _entry(item: Any, path: Path) -> dict[str, Any]:
    entry = {"path": item} if isinstance(item, str) else item
    known = ["path", "name", "scale", "labels"]
    if not isinstance(entry, dict) or not isinstance(entry.get("path"), str):
        raise BadInputError(f"{path}: a domain is a folder or a mapping with 'path', not {item!r}")
    for key in entry:
        if key not in known:
            raise BadInputError(f"{path}: domain {entry['path']}: unknown key {key!r}{nearest(str(key), known)}")
    scale = entry.get("scale", 1.0)
    if isinstance(scale, bool) or not isinstance(scale, int | float) or not 0 < scale <= 4:
        raise BadInputError(
            f"{path}: domain {entry['path']}: scale must be a number above 0 and at most 4, not {scale!r}"
        )
    labels = entry.get("labels")
    if labels is not None and not (isinstance(labels, list) and all(isinstance(label, str) for label in labels)):
        raise BadInputError(f"{path}: domain {entry['path']}: labels must be a list of class names, not {labels!r}")
    name = {"name": str(entry["name"])} if entry.get("name") is not None else {}
    return {"path": entry["path"], "scale": scale, "labels": labels, **name}


def join_domains(
    domains: Sequence[Domain], *, name: str = "stream", rule: ClassRule = "same", scales: Sequence[float] | None = None
) -> DomainStream:
    """Domains as one stream.

    rule "same": all must have the same class names. "defect": every class above background is one class. "union":
    each keeps its classes, and answers only those.
    """
    if rule not in RULES:
        raise BadInputError(f"classes: must be one of {', '.join(RULES)}, not {rule!r}")
    if not domains:
        raise BadInputError("a stream needs at least one domain")
    names = [domain.name for domain in domains]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise BadInputError(f"two domains are named {twice[0]!r}: give one another name in its domain.yaml")
    ignores = {domain.ignore for domain in domains if domain.ignore is not None}
    if len(ignores) > 1:
        raise BadInputError(f"the domains' ignore values differ ({sorted(ignores)}): use one for all")
    classes, remaps = _join_classes(domains, rule)
    for domain in domains:
        _check_ignore(domain, classes)
    stops = tuple(
        Stop(domain, scale, remap)
        for domain, scale, remap in zip(domains, scales or [1.0] * len(domains), remaps, strict=True)
    )
    return DomainStream(name, rule, classes, next(iter(ignores), None), stops)


def _check_ignore(domain: Domain, classes: tuple[str, ...]) -> None:
    if domain.ignore is not None and domain.ignore < len(classes):
        raise BadInputError(
            f"{domain.root}: it ignores mask value {domain.ignore}, which is class {classes[domain.ignore]!r} of all "
            f"domains together: choose a value from {len(classes)} to 255 in domain.yaml and its masks"
        )


def _join_classes(domains: Sequence[Domain], rule: ClassRule) -> tuple[tuple[str, ...], list[tuple[int, ...]]]:
    if rule == "defect":
        return ("background", "defect"), [(0, *[1] * (len(d.classes) - 1)) for d in domains]
    if rule == "same":
        first = domains[0]
        for other in domains[1:]:
            if other.classes != first.classes:
                raise BadInputError(
                    f"the classes of {first.name} ({', '.join(first.classes)}) and {other.name} "
                    f"({', '.join(other.classes)}) differ: use classes 'defect' (one class for all defects) or 'union'"
                )
        return first.classes, [tuple(range(len(first.classes))) for _ in domains]
    ids: dict[str, int] = {"background": 0}
    remaps = []
    for domain in domains:
        own = [_full_name(domain, label) for label in domain.classes[1:]]
        remaps.append((0, *(ids.setdefault(label, len(ids)) for label in own)))
    return tuple(ids), remaps


def _full_name(domain: Domain, label: str) -> str:
    """Names that were never given ("class 2") mean another thing in each domain."""
    return f"{domain.name} {label}" if label.startswith("class ") else label


def with_classes(stream: DomainStream, classes: tuple[str, ...]) -> DomainStream:
    """The same domains with a model's classes in place of their own: each of theirs is found there by its name.

    Where the model knows but one kind of defect, all of theirs are that. Raises BadInputError for a class that the
    model does not know.
    """
    stops = []
    for stop in stream.stops:
        defects = stop.domain.classes[1:]
        full = [label if label in classes else _full_name(stop.domain, label) for label in defects]
        if classes == ("background", "defect"):
            full = ["defect"] * len(defects)
        unknown = [label for label in full if label not in classes]
        if unknown:
            raise BadInputError(
                f"{stop.domain.root}: the model does not know its class {unknown[0]!r}, only {', '.join(classes)}: "
                "take a model that learned it, or rename the classes in domain.yaml"
            )
        _check_ignore(stop.domain, classes)
        # what is first is the background, whatever it is called
        stops.append(Stop(stop.domain, stop.scale, (0, *(classes.index(label) for label in full))))
    return DomainStream(stream.name, "union", classes, stream.ignore, tuple(stops))
