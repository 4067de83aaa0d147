"""Faults of the stores that may pass: the caller tries again, or says so to its own caller."""

from __future__ import annotations

from seamwise.errors import SeamwiseError


class UnavailableError(SeamwiseError):
    """A database, an object store or a broker that does not answer now; the request may be fine."""


class FullError(UnavailableError):
    """A database whose disk is full: it answers again when there is space."""


class DamagedError(SeamwiseError):
    """Stored bytes that are no longer those whose hash was recorded."""
