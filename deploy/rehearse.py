"""Runs the steps of a Dockerfile in order where no container engine is: python3 deploy/rehearse.py [--target STAGE]

As root on Debian. Each stage is this machine's own system with an empty layer over it, which takes all that the stage
writes and is thrown away; it stands in for the base image, so that its Python should be the one the Dockerfile names
(package python3-venv). Then the image's command is tried: --version, and an upgrade of an embedded database.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

CONTEXT = Path(__file__).resolve().parent.parent
Steps = list[tuple[str, str]]


@dataclass
class Stage:
    """A stage under way: the root of its files, and what its next step runs with."""

    root: Path
    variables: dict[str, str] = field(default_factory=dict)
    user: str = "root"
    folder: str = "/"
    entrypoint: list[str] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--file", type=Path, default=CONTEXT / "deploy" / "Dockerfile")
    parser.add_argument("--target", help="the stage to end with (default: the last one)")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.folder is None:
        sys.exit(apart(sys.argv))
    last = build(read(options.file), options.folder, options.target)
    for arguments in (["--version"], ["db", "upgrade"]):
        run(last, shlex.join([*last.entrypoint, *arguments]))


def apart(command: list[str]) -> int:
    """Does it in a process with mounts of its own, which end with it; only then is what it wrote deleted."""
    folder = tempfile.mkdtemp(prefix="seamwise-image-")
    try:
        return subprocess.run(["unshare", "--mount", sys.executable, *command, "--folder", folder]).returncode
    finally:
        if folder not in Path("/proc/self/mounts").read_text():
            shutil.rmtree(folder)


def read(file: Path) -> Steps:
    """The instructions of a Dockerfile, each with its text on one line."""
    lines = [line for line in file.read_text().splitlines() if not line.lstrip().startswith("#")]
    whole = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(word, text.strip()) for word, _, text in (line.partition(" ") for line in whole.splitlines()) if word]


def build(steps: Steps, folder: Path, target: str | None) -> Stage:
    """Goes through the steps up to the end of a stage and gives it back."""
    stages: dict[str, Stage] = {}
    given = dict(os.environ)
    stage: Stage | None = None
    for word, text in steps:
        if word == "FROM":
            if target and target in stages:
                break
            base, _, name = text.partition(" AS ")
            name = name or str(len(stages))
            print(f"FROM {base} AS {name}", flush=True)
            stage = stages[name] = begin(folder / str(len(stages)), stages.get(base))
        elif stage is not None:
            print(f"{word} {text}", flush=True)
            step(stage, stages, given, word, text)
    assert stage is not None
    return stage


def begin(folder: Path, base: Stage | None) -> Stage:
    """A stage on this machine's system, or on a copy of another stage."""
    for name in ("root", "written", "work"):
        (folder / name).mkdir(parents=True)
    if base is not None:
        below = base.root.parent / "written"
        subprocess.run(["cp", "--archive", "--reflink=auto", f"{below}/.", str(folder / "written")], check=True)
    layers = f"lowerdir=/,upperdir={folder / 'written'},workdir={folder / 'work'}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, str(folder / "root")], check=True)
    for shared in ("proc", "dev"):
        subprocess.run(["mount", "--rbind", f"/{shared}", str(folder / "root" / shared)], check=True)
    if base is not None:
        return Stage(folder / "root", dict(base.variables), base.user, base.folder, list(base.entrypoint))
    python = folder / "root" / "usr/local/bin/python"
    python.unlink(missing_ok=True)
    python.symlink_to("/usr/bin/python3")
    return Stage(folder / "root", {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"})


def step(stage: Stage, stages: dict[str, Stage], given: dict[str, str], word: str, text: str) -> None:
    """Does one instruction."""
    match word:
        case "ARG":
            name, _, default = text.partition("=")
            if value := given.get(name, default):
                stage.variables[name] = value
        case "ENV":
            for name, _, value in (pair.partition("=") for pair in shlex.split(text)):
                stage.variables[name] = value.replace("$PATH", stage.variables["PATH"])
        case "WORKDIR":
            stage.folder = text
            inside(stage, text).mkdir(parents=True, exist_ok=True)
        case "USER":
            stage.user = text
        case "COPY":
            copy(stage, stages, text.split())
        case "RUN":
            run(stage, text)
        case "ENTRYPOINT":
            stage.entrypoint = shlex.split(text.strip("[]").replace(",", " "))
        case "VOLUME" | "EXPOSE" | "CMD":
            pass
        case _:
            raise SystemExit(f"{word}: this rehearsal does not know it")


def copy(stage: Stage, stages: dict[str, Stage], words: list[str]) -> None:
    """COPY [--from=STAGE] SOURCE... TARGET."""
    *sources, target = [word for word in words if not word.startswith("--")]
    origin = next((stages[word.removeprefix("--from=")].root for word in words if word.startswith("--from=")), CONTEXT)
    place = inside(stage, str(Path(stage.folder) / target))
    for source in sources:
        found = origin / source.lstrip("/")
        goal = place / found.name if found.is_file() else place
        goal.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-a", "--no-target-directory", str(found), str(goal)], check=True)


def run(stage: Stage, command: str) -> None:
    """Runs a command in the stage; this machine's settings of pip go with it."""
    pip = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    shell = ["sh", "-c", f"cd {shlex.quote(stage.folder)} && {command}"]
    as_user = ["chroot", f"--userspec={stage.user}:{stage.user}", str(stage.root), *shell]
    chroot = shutil.which("chroot", path="/usr/sbin:/sbin") or "chroot"
    done = subprocess.run([chroot, *as_user[1:]], env={**pip, **stage.variables})
    if done.returncode:
        raise SystemExit(f"{command}: failed with {done.returncode}")


def inside(stage: Stage, path: str) -> Path:
    """Where a path of the stage lies on this machine."""
    return stage.root / path.lstrip("/")


if __name__ == "__main__":
    main()
