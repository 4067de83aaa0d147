"""Options of commands that compute here and of those that only ask a service: they load nothing."""

from __future__ import annotations

from typing import Annotated

import typer

JsonOption = Annotated[
    str | None, typer.Option("--json", help="Write the result to this file (- for standard output).")
]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", help="A recipe option as name=value, e.g. steps=500 (repeatable).")
]
