"""Who may use the API, and who did what."""

from __future__ import annotations

from collections.abc import Iterator

from seamwise.client.calls import Calls, told
from seamwise.client.records import Event, Key, MadeKey


class Keys:
    """Keys to the API; all of this needs an admin's."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def make(self, name: str, role: str, *, days: int | None = None) -> MadeKey:
        """A new key; its token is shown this once. role: viewer, inspector, trainer or admin."""
        return self._calls.post("/keys", MadeKey, told({"name": name, "role": role, "days": days}))

    def list(self) -> Iterator[Key]:
        """All keys, newest first, revoked ones too."""
        return self._calls.pages("/keys", Key)

    def revoke(self, number: int) -> Key:
        """Ends a key for good."""
        return Key.model_validate(self._calls.send("DELETE", f"/keys/{number}").json())


class Audit:
    """What was done, by whom; it cannot be changed."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def list(self, *, by: str | None = None, subject: str | None = None) -> Iterator[Event]:
        """All events, newest first. by: such as `key/3`; subject: such as `job/12`."""
        return self._calls.pages("/audit", Event, by=by, subject=subject)
