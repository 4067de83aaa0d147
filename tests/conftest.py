"""What holds for every test."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Where the servers must be there, a test of them that skips has failed."""
    report = yield
    if (
        report.skipped
        and os.environ.get("SEAMWISE_TEST_SERVICES") == "required"
        and item.get_closest_marker("services")
    ):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} skipped, and SEAMWISE_TEST_SERVICES=required: {report.longrepr}"
    return report
