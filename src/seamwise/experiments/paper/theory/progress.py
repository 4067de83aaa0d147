"""Parts of a computation that tell how far they are."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from typing import Any

from seamwise.experiments.paper.theory.descent import one_thread

Part = Generator[float, None, dict[str, Any]]  # yields its own share done, returns its data with a list of checks


def run(
    parts: Mapping[str, tuple[float, str, Part]], seed: int, quick: bool
) -> Iterator[tuple[float, str] | dict[str, Any]]:
    """Runs parts (share of the whole, what is being done, the part) and yields (share done, what is being done).

    Yields last the result: the data of every part under its name, all checks in one list.
    """
    result: dict[str, Any] = {"seed": seed, "quick": quick, "checks": []}
    done = 0.0
    with one_thread():
        for name, (share, words, part) in parts.items():
            yield done, words
            found = yield from _told(part, done, share, words)
            result["checks"] += found.pop("checks")
            result[name] = found
            done += share
    yield result


def _told(part: Part, done: float, share: float, words: str) -> Generator[tuple[float, str], None, dict[str, Any]]:
    """A part's own progress as its share of the whole, and what it returns."""
    while True:
        try:
            yield done + share * next(part), words
        except StopIteration as end:
            found: dict[str, Any] = end.value
            return found
