"""What a large upload costs the service: python benchmarks/upload.py [--mb 2000] [--breaks 10] [--json FILE]

`seamwise serve` runs as its users start it, over a temporary folder. An archive of so many megabytes that do not
compress is sent by the resumable protocol (TUS): each request sends all that is still missing, and its line is broken
off at so many random places. At the end the service's own sha256 of the whole is compared with the sender's.
Memory: resident, of the process that answers, before the first byte and at its peak; a small upload goes before, so
that what is loaded once does not count. The job that puts the whole together has a process of its own, not counted.
Reads /proc: Linux alone. The folder takes twice the archive's size.
"""

from __future__ import annotations

import argparse
import hashlib
import http.client
import random
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from results import head, told, write
from seamwise.client import Client
from served import Service, serving

BLOCK = 1 << 20  # bytes
PATIENCE_S = 60.0  # without a byte that arrives


def content(start: int, end: int) -> Iterator[bytes]:
    """The archive's bytes from `start` to `end`: the same on every call, without a file or a whole in memory."""
    while start < end:
        number, offset = divmod(start, BLOCK)
        part = random.Random(number).randbytes(BLOCK)[offset : offset + end - start]
        yield part
        start += len(part)


def sha256_of(size: int) -> str:
    whole = hashlib.sha256()
    for part in content(0, size):
        whole.update(part)
    return whole.hexdigest()


class Upload:
    """One upload to a service. job: the one that puts it together, once all is there."""

    def __init__(self, service: Service, size: int) -> None:
        self.size, self.job = size, 0
        self._host = urlsplit(service.address).netloc
        self._told = {"Authorization": f"Bearer {service.key}", "Tus-Resumable": "1.0.0"}
        with Client(service.address, service.key) as client:
            self._path = f"/api/v1/uploads/{client.uploads.begin('archive.zip', size)}"

    def arrived(self) -> int:
        """How many bytes the service has."""
        with closing(http.client.HTTPConnection(self._host, timeout=PATIENCE_S)) as line:
            line.request("HEAD", self._path, headers=self._told)
            answer = line.getresponse()
            if job := answer.getheader("Upload-Job"):
                self.job = int(job.rpartition("/")[2])
            return int(answer.getheader("Upload-Offset") or 0)

    def send(self, start: int, end: int) -> None:
        """Promises all from `start` on, and breaks the line off at `end` unless that is all."""
        with closing(http.client.HTTPConnection(self._host, timeout=PATIENCE_S)) as line:
            line.putrequest("PATCH", self._path)
            about = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": start}
            for name, value in {**self._told, **about, "Content-Length": self.size - start}.items():
                line.putheader(name, str(value))
            line.endheaders()
            for part in content(start, end):
                line.send(part)
            if end == self.size:
                line.getresponse().read()


def send_broken(upload: Upload, breaks: Sequence[int]) -> int:
    """Sends all, broken off at these places, and counts how often the line was."""
    left, done, best = sorted(breaks), 0, -1
    last_news = time.monotonic()
    while (start := upload.arrived()) < upload.size:
        if start > best:
            best, last_news = start, time.monotonic()
        elif time.monotonic() - last_news > PATIENCE_S:
            raise SystemExit(f"nothing arrives any more after {start} bytes")
        end = next((place for place in left if place > start), upload.size)
        with suppress(OSError):  # the service still has the broken request: it refuses a second one
            upload.send(start, end)
            if end < upload.size:
                left.remove(end)
                done += 1
        time.sleep(0.2)
    return done


def transfer(service: Service, size: int, breaks: Sequence[int]) -> tuple[str, int, float]:
    """Sends an archive and waits until it is whole: the service's sha256 of it, how often it broke, seconds to send."""
    start = time.monotonic()
    upload = Upload(service, size)
    broken = send_broken(upload, breaks)
    seconds = time.monotonic() - start
    with Client(service.address, service.key) as client:
        result = client.jobs.wait(upload.job, timeout_s=3600).result or {}
    return result["object"], broken, seconds


def measure(size: int, breaks: int) -> dict[str, Any]:
    """Sends `size` bytes to a new service, broken off so often."""
    places = random.Random(1).sample(range(size // 20, size), breaks)
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as service:
        transfer(service, 2 * BLOCK, [BLOCK])
        service.forget_peak()
        before = service.resident_mib()
        start = time.monotonic()
        arrived, broken, sent_s = transfer(service, size, places)
        whole_s = time.monotonic() - start
        peak, after = service.resident_mib("VmHWM"), service.resident_mib()
    return {
        "mb": size / 1e6,
        "broken_off": broken,
        "sha256_equal": arrived == sha256_of(size),
        "seconds_sent": round(sent_s, 1),
        "seconds_whole": round(whole_s, 1),
        "resident_before_mib": round(before, 1),
        "resident_peak_mib": round(peak, 1),
        "resident_after_mib": round(after, 1),
        "growth_mib": round(peak - before, 1),
    }


def page(result: dict[str, Any]) -> str:
    """The figures as a Markdown page beside the JSON."""
    whole = "equal" if result["sha256_equal"] else "NOT equal"
    lines = [
        "# What a large upload costs the service",
        "",
        told(result),
        "",
        f"An archive of {result['mb']:.0f} MB was sent in resumable pieces, its line broken off {result['broken_off']} "
        f"times; the service's sha256 of the whole and the sender's are {whole}. Sent in {result['seconds_sent']} s, "
        f"whole after {result['seconds_whole']} s.",
        "",
        "Memory of the process that answers, MiB resident: "
        f"{result['resident_before_mib']} before, {result['resident_peak_mib']} at its peak, "
        f"{result['resident_after_mib']} after; it grew by {result['growth_mib']}.",
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mb", type=int, default=2000)
    parser.add_argument("--breaks", type=int, default=10)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = measure(options.mb * 10**6, options.breaks)
    for name, value in found.items():
        print(f"{name:20} {value}")
    result = head("upload") | found
    write(options.json, result, page(result))
    if not found["sha256_equal"]:
        raise SystemExit("what arrived is not what was sent")


if __name__ == "__main__":
    main()
