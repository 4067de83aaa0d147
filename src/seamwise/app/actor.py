"""Who asks, and what they may do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from seamwise.errors import RefusedError
from seamwise.storage.tables import Role

_ORDER = tuple(Role)


@dataclass(frozen=True)
class Actor:
    """Who asks. name: such as `key/3` or `worker/host-12`, as the audit keeps it. request_id: of the HTTP request.

    expires_at: when the key ends by itself; None: never.
    """

    name: str
    role: Role
    request_id: str | None = None
    expires_at: datetime | None = None


# What the platform does on its own account: its workers, its triggers.
SYSTEM = Actor("system", Role.ADMIN)


class ForbiddenError(RefusedError):
    """Something that the actor's role does not allow."""


def allows(role: Role, needed: Role) -> bool:
    """Whether a role may do what `needed` may: each role may do what those before it may."""
    return _ORDER.index(role) >= _ORDER.index(needed)


def require(actor: Actor, needed: Role) -> None:
    """Raises ForbiddenError unless the actor's role reaches `needed`."""
    if not allows(actor.role, needed):
        raise ForbiddenError(f"this needs a key with the role {needed} or higher; yours is {actor.role}")
