"""A results document as tables: mean and spread over seeds, as text and as the Markdown page beside the JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seamwise.errors import BadInputError
from seamwise.experiments.groups import Spread, gather, spread
from seamwise.figures.scatter import scatter
from seamwise.files import atomic_write

HEADERS = ("strategy", "seeds", "average", "forgetting", "learned", "newest", "minutes")
START, END = "<!-- made by the command: begin -->", "<!-- made by the command: end -->"


def text(value: Spread, digits: int = 3, scale: float = 1.0) -> str:
    """`0.412 ± 0.013`, without the spread for a single value, `-` for none."""
    mean, deviation = value
    if mean is None:
        return "-"
    shown = f"{mean * scale:.{digits}f}"
    return shown if deviation is None else f"{shown} ± {deviation * scale:.{digits}f}"


def summary_rows(result: Mapping[str, Any]) -> list[list[str]]:
    """One line a strategy under HEADERS."""
    return [
        [
            group.label,
            str(len(group.runs)),
            *(text(group.spread(name)) for name in ("average", "forgetting", "learned", "newest")),
            text(group.spread("seconds"), 1, 1 / 60),
        ]
        for group in gather(result)
    ]


def domain_rows(result: Mapping[str, Any]) -> list[list[str]]:
    """One line a strategy: the final score of each domain."""
    places = range(len(result["domains"]))
    return [[group.label, *(text(group.score(-1, place)) for place in places)] for group in gather(result)]


def markdown_table(headers: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first column is text."""
    rule = ["---", *["---:"] * (len(headers) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (list(headers), rule, *map(list, lines))) + "\n"


def write_markdown(path: Path, result: Mapping[str, Any]) -> None:
    """Writes or renews the made part of a page; what people wrote around it stays."""
    metric = str(result["metric"]).replace("_", " ")
    parts = [
        f"Command: {commands_of(result)}. Score: {metric} on the {result['split']} split, pooled over its images. "
        "Mean ± standard deviation over seeds. `learned` is the score of each domain when it was new, `newest` that of "
        "the last domain at the end.",
        markdown_table(HEADERS, summary_rows(result)),
        "Final score of each domain:",
        markdown_table(["strategy", *result["domains"]], domain_rows(result)),
        made_with(result),
    ]
    renew_page(path, str(result["name"]), parts)


def renew_page(path: Path, title: str, parts: Sequence[str]) -> None:
    """Puts made parts between a page's marks; a page that does not exist yet gets the title alone around them."""
    made = "\n\n".join([START, *(part.strip() for part in parts), END])
    try:
        old = path.read_text(encoding="utf-8") if path.exists() else f"# {title}\n\n{START}{END}\n"
    except UnicodeDecodeError as error:
        raise BadInputError(f"{path}: not UTF-8; save it as UTF-8, or delete it and it is made anew") from error
    if START in old and END not in old:
        raise BadInputError(f"{path}: its mark {END} is gone; put it back where the made part ends, or delete the page")
    before, _, rest = old.partition(START)
    _, _, after = rest.partition(END)
    atomic_write(path, f"{before}{made}{after}".encode())


def commands_of(result: Mapping[str, Any]) -> str:
    """The commands that made the rows of a result, for the head of its page."""
    found = list(dict.fromkeys(run.get("command", result["command"]) for run in result.get("runs", ())))
    return ", ".join(f"`{command}`" for command in found or [result["command"]])


def made_with(result: Mapping[str, Any]) -> str:
    """The line that says which versions, and which device where it was not a CPU, made a result."""
    made = [_versions(run.get("versions", result["versions"]), run.get("device")) for run in result.get("runs", ())]
    return "Versions: " + "; ".join(dict.fromkeys(made or [_versions(result["versions"])])) + "."


def _versions(versions: Mapping[str, str], device: str | None = None) -> str:
    parts = [f"{name} {value}" for name, value in versions.items()]
    return ", ".join(parts if device in (None, "cpu") else [*parts, f"device {device}"])


def trade_off(result: Mapping[str, Any]) -> str:
    """SVG: the score kept on old domains against the score reached on new ones, a point a strategy."""
    groups, points = gather(result), {}
    for group in groups:
        old, new = spread(run.old() for run in group.runs), spread(run.new() for run in group.runs)
        points[group.label] = [(old[0], new[0], old[1], new[1])]
    references = [group.label for group in groups if not group.whole]
    across = f" ({', '.join(references)}: at the end)" if references else ""
    up = f"score on each domain when new{across}"
    return scatter(points, str(result["name"]), "final score on the old domains", up)
