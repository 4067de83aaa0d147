"""How commands show a results document: a table, a page, files beside the JSON."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seamwise.cli.console import stage, table
from seamwise.experiments.report import report
from seamwise.experiments.tables import HEADERS, domain_rows, summary_rows
from seamwise.files import atomic_write


def show_results(result: Mapping[str, Any], json_file: str | None) -> None:
    """Prints the summary and the final score of each domain."""
    file = stage(json_file)
    table(HEADERS, summary_rows(result), file)
    table(["strategy", *result["domains"]], domain_rows(result), file)
    metric = str(result["metric"]).replace("_", " ")
    print(f"score: {metric} on the {result['split']} split; ± is the standard deviation over seeds", file=file)
    print("forgetting: best earlier score less final score, mean over all domains but the last; 0 is none", file=file)


def write_report(path: Path, result: Mapping[str, Any], overlays: Mapping[str, Any] | None = None) -> Path:
    """The self-contained page in English, and in Chinese beside it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    classes = result["stream"]["classes"]
    overlays = {name: pictures for name, pictures in (overlays or {}).items() if pictures}
    for language, target in (("en", path), ("zh", path.with_suffix(".zh.html"))):
        atomic_write(target, report({**result, "classes": classes}, language, overlays).encode())
    return path
