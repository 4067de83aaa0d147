"""compose.yaml, .env.example and the Dockerfile: they fit each other, the settings and the files."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from seamwise.settings import Settings
from tests.deploy.conftest import DEPLOY

ROOT = DEPLOY.parent
COMPOSE = (DEPLOY / "compose.yaml").read_text()
SERVICES: dict[str, Any] = yaml.safe_load(COMPOSE)["services"]
REQUIRED = set(re.findall(r"\$\{(\w+):\?", COMPOSE))


def example() -> dict[str, str]:
    """The variables of .env.example, those that are commented out too."""
    lines = (DEPLOY / ".env.example").read_text().splitlines()
    pairs = [re.fullmatch(r"#?([A-Z][A-Z0-9_]*)=(.*)", line) for line in lines]
    return {pair[1]: pair[2] for pair in pairs if pair}


def steps() -> list[tuple[str, str]]:
    text = re.sub(r"\\\n", " ", (DEPLOY / "Dockerfile").read_text())
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in text.splitlines() if line[:1].isupper()]


def test_the_example_names_every_variable_and_holds_no_secret() -> None:
    assert set(example()) == set(re.findall(r"\$\{(\w+)", COMPOSE))
    assert {name: value for name, value in example().items() if name in REQUIRED} == dict.fromkeys(REQUIRED, "")


def test_a_secret_is_required_wherever_it_is_used() -> None:
    secret = [name for name in re.findall(r"\$\{(\w+)", COMPOSE) if re.search(r"PASSWORD|SECRET|KEY", name)]
    assert len(secret) > 5
    assert set(secret) == REQUIRED
    assert not re.search(r"\$\{\w*(PASSWORD|SECRET|KEY)\w*(:-|\})", COMPOSE)


def test_every_setting_of_ours_exists() -> None:
    names = set(re.findall(r"SEAMWISE_\w+", COMPOSE + (DEPLOY / "Dockerfile").read_text()))
    known = {f"SEAMWISE_{name.upper()}" for name in Settings.model_fields}
    assert names - known == {"SEAMWISE_PUBLISH"}  # the one that compose itself uses


def test_every_setting_reaches_the_containers() -> None:
    given = {name for name in SERVICES["worker"]["environment"] if name.startswith("SEAMWISE_")}
    image = re.findall(r"SEAMWISE_\w+(?==)", (DEPLOY / "Dockerfile").read_text())
    assert given | {*image, "SEAMWISE_PORT"} == {f"SEAMWISE_{name.upper()}" for name in Settings.model_fields}
    for name in ("upgrade", "api", "worker-gpu"):
        assert SERVICES[name]["environment"] == SERVICES["worker"]["environment"]


def test_servers_are_services_of_their_own_with_health_checks() -> None:
    assert set(SERVICES) == {"postgres", "redis", "objects", "upgrade", "api", "worker", "worker-gpu"}
    checked = {name for name, service in SERVICES.items() if "healthcheck" in service}
    assert checked == {"postgres", "redis", "objects", "api"}
    assert {name for name, service in SERVICES.items() if "profiles" in service} == {"worker-gpu"}
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["api"]
    for name in ("postgres", "redis", "objects"):
        assert SERVICES[name]["networks"] == ["inside"]


def test_the_image_copies_what_is_there_and_not_ignored() -> None:
    taken = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    copied = [words[:-1] for word, text in steps() if word == "COPY" and not (words := text.split())[0].startswith("-")]
    sources = [source for words in copied for source in words]
    assert sources == ["constraints.txt", "pyproject.toml", "README.md", "LICENSE", "src"]
    assert all((ROOT / source).exists() and f"!{source}" in taken for source in sources)
    assert taken[1] == "*"


def test_the_image_does_not_run_as_root() -> None:
    assert [text for word, text in steps() if word == "USER"] == ["seamwise"]


@pytest.mark.services
@pytest.mark.parametrize("profile", ["", "gpu"])
def test_compose_accepts_the_file(tmp_path: Path, profile: str) -> None:
    done = config(tmp_path, dict.fromkeys(REQUIRED, "x" * 32) | {"SEAMWISE_LEASE_S": "30"}, profile)
    assert done.returncode == 0, done.stderr
    shown = yaml.safe_load(done.stdout)["services"]
    assert shown["api"]["environment"]["SEAMWISE_QUEUE_URL"] == f"redis://:{'x' * 32}@redis:6379/0"
    assert shown["api"]["environment"]["SEAMWISE_LEASE_S"] == "30"
    assert not shown["api"]["environment"]["SEAMWISE_GATE"]


@pytest.mark.services
@pytest.mark.parametrize("missing", sorted(REQUIRED))
def test_compose_refuses_to_go_on_without_a_secret(tmp_path: Path, missing: str) -> None:
    done = config(tmp_path, dict.fromkeys(REQUIRED, "x" * 32) | {missing: ""})
    assert done.returncode != 0
    assert "set it in .env" in done.stderr


def config(folder: Path, variables: dict[str, str], profile: str = "") -> subprocess.CompletedProcess[str]:
    file = folder / "env"
    file.write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
    profiles = ["--profile", profile] if profile else []
    command = ["docker-compose", "--env-file", str(file), *profiles, "--file", str(DEPLOY / "compose.yaml"), "config"]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=60)
