"""Who may import whom, read from the source itself."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "seamwise"
STANDARD = sys.stdlib_module_names

# What each folder (or single module) of the package may import of ours beside itself.
LAYERS: dict[str, set[str]] = {
    "errors": set(),
    "figures": set(),
    "files": {"errors"},
    "continual": set(),
    "settings": {"errors"},
    "storage": {"errors"},
    "tasks": {"storage", "errors"},
    "vision": {"continual", "figures", "errors", "files"},
    "quality": {"vision", "continual", "errors"},
    "serving": {"vision", "errors", "files"},
    "experiments": {"vision", "continual", "figures", "errors", "files"},
    "app": {
        "tasks",
        "storage",
        "serving",
        "quality",
        "experiments",
        "vision",
        "continual",
        "figures",
        "errors",
        "files",
        "settings",
    },
    "worker": {
        "app",
        "tasks",
        "storage",
        "serving",
        "quality",
        "experiments",
        "vision",
        "continual",
        "errors",
        "files",
        "settings",
    },
    "web": {"app", "serving", "storage", "tasks", "vision", "figures", "errors", "files", "settings"},
    "client": {"errors"},
    "cli": {
        "web",
        "worker",
        "client",
        "app",
        "storage",
        "tasks",
        "experiments",
        "vision",
        "continual",
        "figures",
        "errors",
        "files",
        "settings",
    },
}
# Third-party packages with owners: folders and what is below them, or files.
OWNED = {
    "typer": ("cli",),
    "click": ("cli",),
    "rich": ("cli",),
    "monai": ("vision/networks/monai.py",),
    "PIL": ("vision", "experiments/sets/strips.py"),
    "sqlalchemy": ("storage", "tasks", "app", "worker"),
    "fastapi": ("web",),
    "starlette": ("web",),
    "uvicorn": ("web",),
    "prometheus_client": ("web",),
    "limits": ("web",),
    "httpx": ("client",),
    "alembic": ("storage",),
    "obstore": ("storage/objects.py",),
    "celery": ("tasks/celery.py", "worker"),
    "pydantic_settings": ("settings.py",),
    "onnxruntime": ("serving/engine.py",),
    "onnxscript": ("serving/export.py",),
    "pooch": ("experiments/sets/fetch.py",),
    "sklearn": ("experiments/sets/digits.py",),
}


def files(below: str = "") -> list[Path]:
    return sorted((SOURCE / below).rglob("*.py"))


def imports(path: Path, for_types: bool = True) -> Iterator[str]:
    """Full names of all modules a file imports, wherever in it, with or without those under `if TYPE_CHECKING`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    skipped: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING" and not for_types:
            skipped |= set(ast.walk(node))
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write the full name"
            module = str(node.module)
            yield module
            if module.partition(".")[0] == "seamwise":
                yield from (f"{module}.{alias.name}" for alias in node.names if exists(f"{module}.{alias.name}"))


def exists(module: str) -> bool:
    """Whether a dotted name of ours is a module."""
    place = SOURCE.joinpath(*module.split(".")[1:])
    return place.with_suffix(".py").exists() or (place / "__init__.py").exists()


def layer(path: Path) -> str:
    first = path.relative_to(SOURCE).parts[0]
    return first.removesuffix(".py")


def ours(path: Path) -> set[str]:
    """The layers of the package that a file imports."""
    names = [name.split(".") for name in imports(path)]
    return {parts[1] for parts in names if parts[0] == "seamwise" and len(parts) > 1}


def test_every_folder_has_its_place() -> None:
    found = {layer(path) for path in files()} - {"__init__"}
    assert found <= LAYERS.keys(), "add the new folder to LAYERS, after a look at the design"


@pytest.mark.parametrize("folder", LAYERS)
def test_no_layer_imports_a_higher_one(folder: str) -> None:
    for path in files():
        if layer(path) == folder:
            assert ours(path) <= LAYERS[folder] | {folder}, path


def test_the_layers_have_an_order() -> None:
    """Sorted so that each imports only what comes before; a cycle in LAYERS itself would end here."""
    placed: set[str] = set()
    while placed != LAYERS.keys():
        free = {name for name, below in LAYERS.items() if below <= placed} - placed
        assert free, f"a cycle among {LAYERS.keys() - placed}"
        placed |= free


def test_no_module_imports_itself_in_a_circle() -> None:
    graph = {}
    for path in files():
        name = ".".join(("seamwise", *path.relative_to(SOURCE).with_suffix("").parts)).removesuffix(".__init__")
        graph[name] = {n for n in imports(path, for_types=False) if n.startswith("seamwise.") and n != name}
    while graph:
        leaves = {name for name, needed in graph.items() if not needed & graph.keys()}
        assert leaves, f"a circle among {sorted(graph)}"
        graph = {name: needed for name, needed in graph.items() if name not in leaves}


def test_the_learning_core_needs_torch_alone() -> None:
    for path in files("continual"):
        roots = {name.partition(".")[0] for name in imports(path)}
        solver = {"scipy"} if path.name == "gem.py" else set()  # inside a function: the test below runs without it
        assert roots <= STANDARD | {"torch", "seamwise"} | solver, path


def test_simulated_welds_need_no_torch() -> None:
    for path in files("vision/welds"):
        roots = {name.partition(".")[0] for name in imports(path)}
        assert roots <= STANDARD | {"numpy", "scipy", "seamwise"}, path


@pytest.mark.parametrize("package", OWNED)
def test_packages_with_owners(package: str) -> None:
    for path in files():
        if package in {name.partition(".")[0] for name in imports(path)}:
            assert any(path.is_relative_to(SOURCE / owner) for owner in OWNED[package]), path


ALONE = """
import sys
from importlib.machinery import ModuleSpec

class OnlyTorch:
    def find_spec(self, name, path=None, target=None):
        return ModuleSpec(name, self) if name.partition(".")[0] in BLOCKED else None

    def create_module(self, spec):
        raise ModuleNotFoundError(f"blocked: {spec.name}", name=spec.name)

    def exec_module(self, module): ...

BLOCKED = {
    "numpy", "scipy", "PIL", "tifffile", "yaml", "typer", "click", "rich", "safetensors", "monai", "einops", "sklearn",
    "hypothesis", "pytest",
}
sys.meta_path.insert(0, OnlyTorch())
import torch
from seamwise.continual import Classification, Experience, Learner, TensorDataset, build_strategy

data = TensorDataset(torch.randn(8, 3), torch.arange(8) % 2)
for name in ("si", "ewc", "ewc-per-task", "lwf", "lfl", "replay", "si+replay"):
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Linear(4, 2))
    learner = Learner(model, build_strategy(name), Classification())
    list(learner.fit([Experience(0, "a", data), Experience(1, "b", data)]))
    learner.state_dict()
print(*sorted(name for name in sys.modules if name.partition(".")[0] in BLOCKED))
"""


def test_the_learning_core_runs_with_torch_alone() -> None:
    done = subprocess.run([sys.executable, "-c", ALONE], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ""


def test_synaptic_intelligence_fits_two_screens_and_names_its_equations() -> None:
    lines = (SOURCE / "continual" / "si.py").read_text(encoding="utf-8").splitlines()
    assert len(lines) < 150
    marked = {line.rpartition("# ")[2] for line in lines if "# Eq. " in line}
    assert {mark[:5] for mark in marked} == {"Eq. 3", "Eq. 4", "Eq. 5"}
    code = [line.partition("#")[0] for line in lines if "# Eq. " in line]
    assert all(part.strip() for part in code)  # at the end of the line that does it
