"""All that `seamwise reproduce` knows, by name: how each is made and shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from seamwise.continual.catalogue import nearest
from seamwise.errors import UsageError
from seamwise.experiments.paper import endpoint, theory, trajectories
from seamwise.experiments.paper.pages import (
    choosing_c,
    importance_correlation,
    permuted_mnist,
    precision,
    scenarios,
    scenarios_search,
    split_cifar,
    split_mnist,
)
from seamwise.experiments.paper.rows import Claim, page_parts

Result = Mapping[str, Any]


@dataclass(frozen=True)
class Chapter:
    """One thing to reproduce.

    kind: "trained", from runs of the figure of that name; "computed" at once; "derived" from another one's runs.
    parts: of its page, Markdown. picture: SVG.
    """

    kind: Literal["trained", "computed", "derived"]
    title: str
    parts: Callable[[Result], list[str]]
    picture: Callable[[Result], str]
    claims: Callable[[Result], list[Claim]]
    compute: Callable[[int, bool, Path | None], Iterator[Any]] | None = None
    source: str | None = None


def _trained(title: str, page: Any) -> Chapter:
    return Chapter("trained", title, page.markdown, page.picture, page.claims)


def _checked(title: str, module: Any) -> Chapter:
    """A module that computes, without data, a result with `checks`."""

    def compute(seed: int, quick: bool, data: Path | None) -> Iterator[Any]:
        yield from module.compute(seed, quick)

    def claims(result: Result) -> list[Claim]:
        return [
            Claim(
                f"{check['name']} ({check['equation']})",
                f"{check['ours']:.4g} (error {check['error']:.1g}, allowed {check['tolerance']:g})",
                bool(check["passed"]),
            )
            for check in result["checks"]
        ]

    def parts(result: Result) -> list[str]:
        return page_parts(result, module.markdown(result))

    return Chapter("computed", title, parts, module.picture, claims, compute)


CHAPTERS: dict[str, Chapter] = {
    "trajectories": _checked("Figures 1 and 2: trajectories and the surrogate", trajectories),
    "theory": _checked("Equations 1 to 14", theory),
    "endpoint": Chapter(
        "computed",
        "Importances against measures taken at the end",
        endpoint.markdown,
        endpoint.picture,
        endpoint.claims,
        endpoint.compute,
    ),
    "split-mnist": _trained("Figure 3: split MNIST", split_mnist),
    "permuted-mnist": _trained("Figure 4: permuted MNIST", permuted_mnist),
    "importance-correlation": Chapter(
        "derived",
        "Figure 5: correlation of importances",
        importance_correlation.markdown,
        importance_correlation.picture,
        importance_correlation.claims,
        source="permuted-mnist",
    ),
    "split-cifar": _trained("Figure 6: split CIFAR-10/100", split_cifar),
    "choosing-c": _trained("Choosing c on permuted MNIST", choosing_c),
    "choosing-c-cifar": _trained("Choosing c on split CIFAR-10/100", choosing_c),
    "precision": _trained("bfloat16 beside float32", precision),
    "scenarios-search": _trained("Strengths for the three scenarios", scenarios_search),
    "scenarios": _trained("Three scenarios of split MNIST", scenarios),
}


def find_chapter(name: str) -> Chapter:
    if name not in CHAPTERS:
        raise UsageError(f"no figure {name!r}{nearest(name, [*CHAPTERS, 'all'])}")
    return CHAPTERS[name]
