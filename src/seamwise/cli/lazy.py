"""Commands whose modules are loaded when they are asked for: each starts without what only the others need."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from seamwise.errors import UsageError


@contextmanager
def _unbroken() -> Iterator[None]:
    """Ctrl-C waits until modules are loaded: some libraries' own loading answers it with errors of theirs."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Lazy(Mapping[str, Any]):
    """Commands by name: the function or the group of that name in the module `seamwise.cli.NAME`."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = tuple(names)

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            raise KeyError(name)
        try:
            with _unbroken():
                found = getattr(import_module(f"seamwise.cli.{name}"), name)
        except ModuleNotFoundError as error:
            if str(error.name).partition(".")[0] == "seamwise":
                raise
            raise UsageError(
                f"`seamwise {name}` needs {error.name}: pip install 'seamwise[platform]', or install it by itself"
            ) from error
        if not isinstance(found, typer.Typer):
            function, found = found, typer.Typer(add_completion=False)
            found.command()(function)
        command = get_command(found)
        command.name = name
        return command

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def lazy_group(names: Sequence[str]) -> type[TyperGroup]:
    """The class of a group of these commands."""

    class Commands(TyperGroup):
        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            self.commands = Lazy(names)  # type: ignore[assignment]

    return Commands
