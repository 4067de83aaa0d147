"""The embedded database of the contract suite."""

from tests.contract.conftest import embedded, migrated

__all__ = ["embedded", "migrated"]
