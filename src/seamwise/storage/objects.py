"""Opens an object store by its URL, and the adapter for S3-compatible servers."""

from __future__ import annotations

import logging
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import chain
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import obstore
from obstore.exceptions import BaseError, GenericError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from seamwise.errors import NotFoundError, SeamwiseError, UsageError
from seamwise.storage.faults import UnavailableError
from seamwise.storage.folder_store import FolderStore
from seamwise.storage.object_store import CHUNK, Hashed, Listed, ObjectStore, Stored, checked_key, new_key

LOG = logging.getLogger(__name__)
PART = 8 << 20  # bytes; a server may refuse parts below 5 MiB
_URLS = "write file:///folder or s3://bucket/prefix?endpoint=https://host:port&region=us-east-1"


def open_objects(url: str) -> ObjectStore:
    """The object store at a URL: `file:///folder`, or `s3://bucket/prefix?endpoint=https://host&region=us-east-1`.

    Keys for S3 stand before the bucket (`s3://key:secret@bucket`, percent-encoded) or in AWS_ACCESS_KEY_ID and
    AWS_SECRET_ACCESS_KEY. Opens no connection yet. Raises UsageError for any other URL.
    """
    parsed = urlsplit(url)
    match parsed.scheme:
        case "file" if parsed.path and not parsed.netloc:
            return FolderStore(Path(unquote(parsed.path)))
        case "s3" if parsed.hostname:
            return _open_s3(url)
    raise UsageError(f"no object store of the kind {parsed.scheme or 'without a scheme'}; {_URLS}")


def _open_s3(url: str) -> ObjectStore:
    parsed = urlsplit(url)
    options = {name: values[-1] for name, values in parse_qs(parsed.query).items()}
    if unknown := options.keys() - {"endpoint", "region"}:
        raise UsageError(f"the object store's URL has an unknown option {min(unknown)}; {_URLS}")
    # The bucket as written: `hostname` would make it lower case.
    bucket = parsed.netloc.rpartition("@")[2]
    keys = {}
    if parsed.username and parsed.password:
        keys = {"access_key_id": unquote(parsed.username), "secret_access_key": unquote(parsed.password)}
    client = {"connect_timeout": "5s", "read_timeout": "30s", "timeout": "1h"}  # the last one for a whole large object
    if options.get("endpoint", "").startswith("http://"):
        client["allow_http"] = "true"
    store = S3Store(
        bucket,
        prefix=parsed.path.strip("/") or None,
        client_options=client,  # type: ignore[arg-type]
        retry_config={"max_retries": 5, "retry_timeout": timedelta(seconds=20)},
        virtual_hosted_style_request=False,
        **keys,  # type: ignore[arg-type]
        **options,  # type: ignore[arg-type]
    )
    return S3Objects(store, bucket)


class S3Objects:
    """The object store of the cluster; `put` is whole or not at all, as S3 has it."""

    def __init__(self, store: S3Store, bucket: str) -> None:
        self._store = store
        self._bucket = bucket

    def prepare(self) -> None:
        with self._told(self._bucket):
            try:
                next(iter(obstore.list(self._store)), None)
            except GenericError:  # what a missing bucket looks like; an outage shows itself in the next step
                self._make_bucket()

    def put(self, content: Iterable[bytes]) -> Stored:
        key = new_key()
        hashed = Hashed(content)
        chunks = iter(hashed)
        first = []
        for chunk in chunks:
            first.append(chunk)
            if hashed.size >= PART:
                break
        with self._told(self._bucket, hashed):
            if hashed.size < PART:
                obstore.put(self._store, key, b"".join(first), use_multipart=False)
            else:
                obstore.put(self._store, key, chain(first, chunks), chunk_size=PART, max_concurrency=2)
        return hashed.stored(key)

    def read(self, key: str) -> Iterator[bytes]:
        with self._told(f"object {checked_key(key)}"):
            for chunk in obstore.get(self._store, key).stream(min_chunk_size=CHUNK):
                yield bytes(chunk)

    def read_range(self, key: str, start: int, length: int) -> bytes:
        with self._told(f"object {checked_key(key)}"):
            size = obstore.head(self._store, key)["size"]
            if start >= size or length <= 0:
                return b""
            return bytes(obstore.get_range(self._store, key, start=start, length=min(length, size - start)))

    def delete(self, key: str) -> None:
        with self._told(f"object {checked_key(key)}"):
            try:
                obstore.delete(self._store, key)
            except FileNotFoundError:
                return

    def listed(self) -> Iterator[Listed]:
        with self._told(self._bucket):
            for batch in obstore.list(self._store, chunk_size=1000):
                yield from (Listed(found["path"], found["last_modified"]) for found in batch)

    def _make_bucket(self) -> None:
        bare = S3Store(config=self._store.config, client_options=self._store.client_options)
        address = obstore.sign(bare, "PUT", "", timedelta(minutes=1))
        asked = urllib.request.Request(address, method="PUT", data=b"")
        try:
            urllib.request.urlopen(asked, timeout=10).close()
        except urllib.error.HTTPError as error:
            if error.code != 409:  # another process made it
                raise SeamwiseError(
                    f"bucket {self._bucket}: there is none, and the server makes none ({error})"
                ) from error
        except OSError as error:
            raise _untold(error, f"bucket {self._bucket}") from error

    @contextmanager
    def _told(self, what: str, content: Hashed | None = None) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if content is not None and error is content.failed:
                raise
            if isinstance(error, FileNotFoundError):
                raise NotFoundError(f"{what}: it is not in the object store") from error
            if isinstance(error, BaseError):
                raise _untold(error, what) from error
            raise


def _untold(error: Exception, what: str) -> SeamwiseError:
    """The error for clients and jobs; the store's own words, with its address and names, go to the log alone."""
    reason = str(error).partition("\n")[0]
    if isinstance(error, PermissionDeniedError | UnauthenticatedError):
        LOG.warning("%s: the object store refuses: %s", what, reason)
        return SeamwiseError("the object store refuses its access key and secret: set the right ones")
    LOG.warning("%s: the object store does not answer: %s", what, reason)
    return UnavailableError("the object store does not answer; try again")
