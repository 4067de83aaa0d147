"""Fetching from a server on this machine."""

import gzip
import hashlib
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from seamwise.errors import SeamwiseError, UsageError
from seamwise.experiments.sets import SET_NAMES, catalogue, mnist, open_set
from seamwise.experiments.sets.fetch import CACHE_VARIABLE, Remote, cache_folder, fetch
from tests.experiments.sets.tiny import md5_of, mnist_contents


@dataclass
class Home:
    """What the server has by path, what it was asked for, and which files it breaks off in the middle."""

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)


@pytest.fixture
def home(monkeypatch) -> Iterator[Home]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            here.asked.append(self.path)
            content = here.files.get(self.path)
            self.send_response(200 if content is not None else 404)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write((content or b"")[: 10 if self.path in here.broken else None])

        def log_message(self, *args: object) -> None: ...

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        here = Home(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield here
        server.shutdown()
        thread.join()


CONTENT = b"forty-two bytes of a file for this test..."


def remote(*urls: str, path: str = "set/file.bin") -> Remote:
    return Remote(path, hashlib.md5(CONTENT).hexdigest(), urls)


def below(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_file_is_fetched_once(tmp_path, home):
    home.files["/a"] = CONTENT
    for _ in range(2):
        fetch("tiny", [remote(f"{home.url}/a")], tmp_path / "new" / "cache")
    assert (tmp_path / "new" / "cache" / "set" / "file.bin").read_bytes() == CONTENT
    assert home.asked == ["/a"]


def test_the_second_home_is_asked_where_the_first_fails(tmp_path, home):
    home.files |= {"/b": b"something else", "/c": CONTENT}
    fetch("tiny", [remote(f"{home.url}/a", f"{home.url}/b", f"{home.url}/c")], tmp_path)
    assert home.asked == ["/a", "/b", "/c"]
    assert (tmp_path / "set" / "file.bin").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("content", "broken", "says"),
    [
        (None, False, "HTTP status 404"),
        (CONTENT[:-1], False, r"its content is not the standard one \(MD5\)"),
        (CONTENT, True, r"no connection, or it broke off \(\w+\)"),
    ],
)
def test_what_fails_is_said_and_nothing_is_left(tmp_path, home, content, broken, says):
    if content is not None:
        home.files["/a"] = content
    if broken:
        home.broken.add("/a")
    host = re.escape(home.url.removeprefix("http://"))
    with pytest.raises(SeamwiseError, match=rf"tiny: cannot fetch file.bin \({host}: {says}\)") as raised:
        fetch("tiny", [remote(f"{home.url}/a")], tmp_path)
    assert raised.value.exit_code == 1
    assert below(tmp_path) == []


def test_without_a_network_the_message_says_which_files_to_place_where(tmp_path, home):
    closed = "http://127.0.0.1:1"
    files = [remote(f"{closed}/a"), remote(f"{closed}/b", path="set/other.bin")]
    says = f"no connection.*place set/file.bin, set/other.bin in {tmp_path}, or name a folder .* with --data"
    with pytest.raises(SeamwiseError, match=says):
        fetch("tiny", files, tmp_path)


def test_progress_is_told_from_the_first_bytes_to_the_last(tmp_path, home, monkeypatch):
    monkeypatch.setattr("seamwise.experiments.sets.fetch._CHUNK_BYTES", 16)
    home.files["/a"] = CONTENT
    told = []
    fetch("tiny", [remote(f"{home.url}/a")], tmp_path, lambda *what: told.append(what))
    assert told[:3] == [("file.bin", done, 42) for done in (16, 32, 42)]
    assert set(told[3:]) == {("file.bin", 42, 42)}


@pytest.mark.parametrize("left_over", [b"", CONTENT[:20], b"something else"])
def test_a_damaged_or_partial_file_is_fetched_again(tmp_path, home, left_over):
    home.files["/a"] = CONTENT
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "file.bin").write_bytes(left_over)
    fetch("tiny", [remote(f"{home.url}/a")], tmp_path)
    assert (tmp_path / "set" / "file.bin").read_bytes() == CONTENT


def test_a_damaged_file_that_cannot_be_fetched_again_is_kept(tmp_path, home):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "file.bin").write_bytes(CONTENT[:20])
    with pytest.raises(SeamwiseError, match="HTTP status 404"):
        fetch("tiny", [remote(f"{home.url}/a")], tmp_path)
    assert (tmp_path / "set" / "file.bin").read_bytes() == CONTENT[:20]


def test_a_cache_that_cannot_be_a_folder(tmp_path, home):
    home.files["/a"] = CONTENT
    (tmp_path / "cache").touch()
    with pytest.raises(SeamwiseError, match="cache is a file, not a folder"):
        fetch("tiny", [remote(f"{home.url}/a")], tmp_path / "cache")


def test_a_set_from_the_network(tmp_path, home, monkeypatch):
    contents = mnist_contents()
    monkeypatch.setattr(mnist, "CONTENTS", md5_of(contents))
    zipped = {f"{name}.gz": gzip.compress(content, mtime=0) for name, content in contents.items()}
    home.files = {f"/{name}": content for name, content in zipped.items()}
    remotes = tuple(Remote(f"mnist/{n}", md5, (f"{home.url}/{n}",)) for n, md5 in md5_of(zipped).items())
    monkeypatch.setitem(catalogue._SOURCES, "mnist", catalogue._Source(mnist.read_mnist, remotes))
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    first = open_set("mnist")
    assert (len(first.y), len(first.y_test)) == (12, 5)
    home.files.clear()
    assert open_set("mnist").digest == first.digest  # the second time from the cache
    assert len(home.asked) == 4


def test_with_a_folder_nothing_is_fetched(tmp_path, home, monkeypatch):
    monkeypatch.setattr(catalogue, "fetch", lambda *_: pytest.fail("fetched"))
    for name in ("mnist", "cifar10", "cifar100_first50"):
        with pytest.raises(SeamwiseError, match="is not there"):
            open_set(name, tmp_path)


def test_unknown_set():
    with pytest.raises(UsageError, match="no data set 'imagenet'; there are digits, mnist, cifar10, cifar100_first50"):
        open_set("imagenet")
    assert SET_NAMES == ("digits", "mnist", "cifar10", "cifar100_first50")


def test_the_cache_is_where_the_variable_says_or_the_platform(monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, "~/data")
    assert cache_folder() == Path("~/data").expanduser()
    monkeypatch.delenv(CACHE_VARIABLE)
    assert "seamwise" in cache_folder().parts


def test_every_public_home_is_encrypted_and_every_file_has_its_checksum():
    for source in catalogue._SOURCES.values():
        assert source.remote
        for file in source.remote:
            assert re.fullmatch("[0-9a-f]{32}", file.md5)
            assert all(url.startswith("https://") and url.endswith(Path(file.path).name) for url in file.urls)
