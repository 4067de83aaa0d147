"""How benchmarks write what they measured: name, command and versions, then the figures; and a page for people."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from seamwise.experiments.comparison import versions
from seamwise.experiments.tables import made_with


def head(name: str) -> dict[str, Any]:
    """With what every result begins. Addresses, which have passwords, are left out of the command."""
    words = ["URL" if "://" in word else word for word in sys.argv]
    return {"name": name, "command": " ".join(["python", *words]), "versions": versions()}


def told(result: dict[str, Any]) -> str:
    """The line of a page that says how its figures were made."""
    return f"Command: `{result['command']}`. {made_with(result)}"


def write(path: Path | None, result: dict[str, Any], page: str | None = None) -> None:
    """The figures into a JSON file, and the page into the `.md` beside it; nowhere without a path."""
    if path is None:
        return
    path.write_text(json.dumps(result, indent=1) + "\n")
    if page is not None:
        path.with_suffix(".md").write_text(page)
