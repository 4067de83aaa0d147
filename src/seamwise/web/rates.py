"""How many requests each key may make."""

from __future__ import annotations

import logging
import math
import time

from limits import parse
from limits.storage import storage_from_string
from limits.strategies import SlidingWindowCounterRateLimiter

from seamwise.settings import Settings

LOG = logging.getLogger(__name__)


class Rates:
    """Counts requests by name, in this process or, where the queue is Redis, for all processes together."""

    def __init__(self, settings: Settings) -> None:
        self.text = settings.rate_limit
        self._limit = parse(settings.rate_limit) if settings.rate_limit else None
        together = settings.queue_url.startswith(("redis:", "rediss:"))
        options = {"socket_timeout": 1, "socket_connect_timeout": 1} if together else {}
        self._counter = SlidingWindowCounterRateLimiter(
            storage_from_string(settings.queue_url if together else "memory://", **options)
        )
        self._failing = False

    def wait_s(self, name: str) -> int | None:
        """Counts one request; None when it is within the limit, else the seconds to wait."""
        if self._limit is None:
            return None
        try:
            within = self._counter.hit(self._limit, name)
            self._failing = False
            if within:
                return None
            return max(1, math.ceil(self._counter.get_window_stats(self._limit, name).reset_time - time.time()))
        except Exception as error:  # the drivers' errors share no base; without a counter the service goes on
            if not self._failing:
                LOG.warning("requests are not counted: %s", type(error).__name__)
            self._failing = True
            return None
