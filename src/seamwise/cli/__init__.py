"""The command line: one file for each command, thin; what they do lives below."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence

try:
    import typer
except ModuleNotFoundError as error:  # the bare package is the learning core alone
    raise SystemExit("the seamwise command needs more than the bare package: pip install 'seamwise[vision]'") from error

from seamwise import __version__
from seamwise.cli.console import readable_errors
from seamwise.cli.lazy import lazy_group

COMMANDS = (
    *("demo", "learn", "compare", "evaluate", "predict", "simulate", "reproduce"),
    *("serve", "worker", "db", "keys", "scrub", "remote"),
)

app = typer.Typer(
    cls=lazy_group(COMMANDS),
    help="Seamwise: continual learning for weld inspection. Start with `seamwise demo`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.callback(invoke_without_command=True)
def _version(version: bool = typer.Option(False, "--version", help="Print the version.")) -> None:
    if version:
        print(__version__)
        raise typer.Exit


def main(arguments: Sequence[str] | None = None) -> None:
    """The `seamwise` command; ends with SystemExit. arguments: instead of those the process was given."""
    for stream in (sys.stdout, sys.stderr):  # a terminal that lacks a sign shows another, and no work is lost
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    with readable_errors():
        app(None if arguments is None else list(arguments), prog_name="seamwise")
    sys.exit(0)
