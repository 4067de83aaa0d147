"""Which names the service answers to, and which pages may send to it."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from seamwise.web.problems import ProblemResponse

WATCHED = ("/api/v1/health", "/api/v1/ready")
_SAFE = ("GET", "HEAD", "OPTIONS")


class Doors:
    """Middleware against pages of other sites.

    A page may point a name of its own at this machine's address: requests for names that are not ours are refused. Only
    whether the service works is told under any name: what watches it may know no more than an address. A browser says
    which page a request comes from (`Origin`): what changes something must come from our own.
    """

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...]) -> None:
        self.app = app
        self.hosts = None if "*" in hosts else frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if b"\0" in scope["path"].encode("utf-8", "surrogateescape") or len(headers.getlist("host")) != 1:
            refusal = "the address cannot be read"
        elif self.hosts is not None and scope["path"] not in WATCHED and _name(host) not in self.hosts:
            refusal = (
                f"this service is not called {_name(host)[:100]!r}; SEAMWISE_ALLOWED_HOSTS names what it is called"
            )
        elif scope["method"] not in _SAFE and not _ours(headers.get("origin"), host):
            refusal = "a page of another site sent this"
        else:
            await self.app(scope, receive, send)
            return
        status = 403 if refusal.startswith("a page") else 400
        await ProblemResponse(status, refusal, request_id=scope["state"].get("request_id"))(scope, receive, send)


def _name(host: str) -> str:
    """The host without its port, in lower case; of `[::1]:8000`: ::1."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _ours(origin: str | None, host: str) -> bool:
    if origin is None:  # not a browser, or its own address bar
        return True
    try:
        return urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:
        return False
