"""The documents and the help name everything there is, and nothing that is not there."""

import importlib.util
import json
import re
from dataclasses import asdict, fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer.main
from sklearn.datasets import load_digits

from seamwise.cli import app
from seamwise.continual.catalogue import METHODS, parameters
from seamwise.errors import BadInputError, NotFoundError, RefusedError, SeamwiseError, UsageError
from seamwise.experiments.recipe import Recipe
from seamwise.quality.gate_settings import GateSettings
from seamwise.settings import Settings
from seamwise.vision.augment import Augmentation
from seamwise.vision.losses import LOSSES
from seamwise.vision.networks import NETWORKS
from seamwise.vision.welds.domains import DOMAINS
from tests.cli.conftest import Command

ROOT = Path(__file__).parent.parent.parent
OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
PAGE = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def section(title: str, page: str = PAGE) -> str:
    """A page from one heading to the next of its level."""
    found = re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL)
    assert found, f"the page has no section {title!r}"
    return found[1]


def rows(text: str) -> list[list[str]]:
    """Cells of all tables, without their headings' rules."""
    lines = [line for line in text.splitlines() if line.startswith("|") and not line.startswith("|---")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def plain(value: object) -> str:
    """A default as the tables show it."""
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value)


def leaves(command: Any, path: str) -> dict[str, Any]:
    """The commands of a group by their full names; of a command itself, none."""
    inner = getattr(command, "commands", {})
    found = {f"{path} {name}": each for name, each in inner.items() if not hasattr(each, "commands")}
    for name, each in inner.items():
        found |= leaves(each, f"{path} {name}")
    return found


def test_every_setting_of_the_platform_is_documented_with_its_default() -> None:
    text, told = section("Settings", OPERATIONS), {}
    for names, default, *_ in rows(text)[1:]:
        told |= dict(zip(re.findall(r"`SEAMWISE_([A-Z_]+)`", names), re.findall(r"`([^`]*)`", default), strict=False))
    assert {name.lower() for name in re.findall(r"`SEAMWISE_([A-Z_]+)`", text)} == set(Settings.model_fields)
    for name, default in asdict(GateSettings()).items():
        assert f"`{name}` {json.dumps(default)}" in text.replace("\n", " ") or name == "small_share"
    for name, field in Settings.model_fields.items():
        default = field.default
        if field.default_factory is None and default not in ("", (), None):
            assert told[name.upper()] == plain(default), name


@pytest.mark.parametrize("name", [name for name in COMMANDS if leaves(COMMANDS[name], name)])
def test_every_command_of_a_group_is_documented_with_its_options(name: str) -> None:
    told = {}
    for row in rows(section(name)):
        words = row[0].strip("`").split()
        told[" ".join(word for word in words if not word.isupper())] = re.findall(r"`(--[a-z-]+)", " ".join(row[1:]))
    for path, command in leaves(COMMANDS[name], name).items():
        real = {opt for p in command.params if p.param_type_name == "option" for opt in (*p.opts, *p.secondary_opts)}
        assert path in told
        assert set(told[path]) == real - {"--help", "--json"}
        assert "--json" in real


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_a_command_is_documented_and_no_other(name: str) -> None:
    given = [p for p in COMMANDS[name].params if p.param_type_name == "option"]
    real = {opt for p in given for opt in (*p.opts, *p.secondary_opts)}
    options = [row[0] for row in rows(section(name)) if row[0].startswith("`-")]
    documented = {word.split()[0] for cell in options for word in re.findall(r"`([^`]+)`", cell)}
    assert documented == real - {"--help"}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_names_every_option(
    name: str, seamwise: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    answer = seamwise(name, "--help")
    assert answer.code == 0
    for parameter in COMMANDS[name].params:
        assert all(opt in answer.out for opt in parameter.opts if opt.startswith("-"))
        assert parameter.help or parameter.name == "help", f"{name}: {parameter.name} has no explanation"


def test_the_commands_are_the_sections() -> None:
    top = PAGE.partition("## ")[0]
    assert re.findall(r"^\| \[`(\w+)`\]", top, re.MULTILINE) == list(COMMANDS)
    assert "`seamwise --version`" in top


def test_the_readme_shows_every_command() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert {name for name in COMMANDS if f"seamwise {name}" in readme} == set(COMMANDS)


def test_exit_codes() -> None:
    codes = {int(row[0]) for row in rows(section("Exit codes"))[1:]}
    errors = (SeamwiseError, UsageError, BadInputError, NotFoundError, RefusedError)
    assert codes == {0, 130} | {error.exit_code for error in errors}


def test_ready_domains() -> None:
    table = rows(section("simulate").partition("| ready domain")[2])
    assert [row[0].strip("`") for row in table if row[0].startswith("`")] == list(DOMAINS)


def test_strategies_and_their_parameters() -> None:
    found: dict[str, dict[str, str]] = {}
    name = ""
    for strategy, parameter, default, _ in rows(section("Strategies"))[1:]:
        name = strategy.strip("`") or name
        found.setdefault(name, {})
        if parameter:
            found[name][parameter.strip("`")] = default.strip("`")
    real = {name: {p.name: plain(p.default) for p in parameters(name).values()} for name in METHODS}
    assert found == real


def test_recipe_options() -> None:
    recipe, augment = section("The recipe").split("| `augment` option", 1)
    for text, kind in ((recipe, Recipe), (augment, Augmentation)):
        found = {row[0].strip("`"): row[1].strip("`") for row in rows(text) if row[0].startswith("`")}
        assert found == {field.name: plain(getattr(kind(), field.name)) for field in fields(kind)}
    lines = {row[0].strip("`"): row[-1] for row in rows(recipe)}
    networks = set(re.findall(r"`(\w+)`", lines["network"])) - {"monai"}
    assert networks == set(NETWORKS)
    assert set(re.findall(r"`(\w+)`", lines["loss"])) == set(LOSSES)


def test_the_example_runs_and_forgets_less_with_si(monkeypatch: pytest.MonkeyPatch) -> None:
    path = ROOT / "examples" / "own_loop.py"
    spec = importlib.util.spec_from_file_location("own_loop", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    digits = load_digits()
    few = {"data": digits.data[::5], "target": digits.target[::5]}
    monkeypatch.setattr(module, "load_digits", lambda: SimpleNamespace(**few))
    without, with_si = module.main(c=0.0), module.main(c=1.0)
    assert len(with_si) == 5
    assert sum(with_si) > sum(without)
