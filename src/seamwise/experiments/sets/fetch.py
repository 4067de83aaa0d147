"""Files of public data sets, fetched from their homes into a cache folder and checked."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from seamwise.errors import SeamwiseError
from seamwise.files import check_writable

CACHE_VARIABLE = "SEAMWISE_DATA_CACHE"
_TIMEOUT_S = 30
_CHUNK_BYTES = 2**18

Progress = Callable[[str, int, int], None]  # told of a file's name, the bytes that have come, and all its bytes


@dataclass(frozen=True)
class Remote:
    """A file on the network. path: its place below the cache folder. urls: the same file, tried in this order."""

    path: str
    md5: str
    urls: tuple[str, ...]


def cache_folder() -> Path:
    """Where fetched files are kept: the folder SEAMWISE_DATA_CACHE names, else the platform's place for caches."""
    import pooch  # here and below: most runs have their data already

    given = os.environ.get(CACHE_VARIABLE)
    return Path(given).expanduser() if given else Path(pooch.os_cache("seamwise"))


def fetch(name: str, files: Sequence[Remote], folder: Path, progress: Progress | None = None) -> None:
    """Makes sure that the files of the set `name` are in the folder, whole and with the right content.

    What is there is kept, and what is damaged is fetched again; a file appears under its name only once it is whole
    and right. Raises SeamwiseError saying what to place where when the network or the disk refuses.
    """
    for file in files:
        _fetch(name, file, files, folder, progress)


def _fetch(name: str, file: Remote, files: Sequence[Remote], folder: Path, progress: Progress | None) -> None:
    import pooch

    refusals = []
    check_writable((folder / file.path).parent)  # the disk's refusal is no server's
    for url in file.urls:
        try:
            bar = _Bar(Path(file.path).name, progress) if progress is not None else False
            get = pooch.HTTPDownloader(progressbar=bar, chunk_size=_CHUNK_BYTES, timeout=_TIMEOUT_S)
            pooch.retrieve(url, known_hash=f"md5:{file.md5}", fname=file.path, path=folder, downloader=get)
            return
        except (OSError, ValueError) as error:  # the network's errors are OSError, a wrong checksum is a ValueError
            refusals.append(f"{urlsplit(url).netloc}: {_reason(error)}")
    raise SeamwiseError(
        f"{name}: cannot fetch {Path(file.path).name} ({'; '.join(refusals)}). Without a network, place "
        f"{', '.join(remote.path for remote in files)} in {folder}, or name a folder that holds the set with --data"
    )


def _reason(error: OSError | ValueError) -> str:
    if not isinstance(error, OSError):
        return "its content is not the standard one (MD5)"
    response = getattr(error, "response", None)
    if response is not None:
        return f"HTTP status {response.status_code}"
    return error.strerror or f"no connection, or it broke off ({type(error).__name__})"


class _Bar:
    """What pooch takes for a progress bar."""

    def __init__(self, file: str, progress: Progress) -> None:
        self.file, self.progress = file, progress
        self.total = self.done = 0

    def update(self, count: int) -> None:
        self.done = min(self.done + count, self.total)  # pooch counts whole chunks
        self.progress(self.file, self.done, self.total)

    def reset(self) -> None:
        self.done = 0

    def close(self) -> None: ...
