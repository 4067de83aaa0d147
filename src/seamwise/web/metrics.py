"""What Prometheus reads: requests, jobs, and the version that serves."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector

from seamwise.app.health import Gauges
from seamwise.serving import Server

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


class Metrics:
    """The figures of one process; those of jobs come from the database and are the same in every process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._answers = Counter(
            "seamwise_http_requests", "Requests answered.", ("method", "route", "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "seamwise_http_request_seconds",
            "Time to the end of the answer.",
            ("method", "route"),
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._jobs = Gauge("seamwise_jobs", "Jobs by state.", ("state",), registry=self.registry)
        self._waiting = Gauge(
            "seamwise_oldest_queued_job_seconds", "How long the oldest job has waited.", registry=self.registry
        )
        self._beat = Gauge(
            "seamwise_last_heartbeat_age_seconds",
            "Since the running job that is silent longest showed life; NaN: none runs.",
            registry=self.registry,
        )
        self._serving = Gauge(
            "seamwise_serving", "1 for the version that answers here.", ("version",), registry=self.registry
        )
        self._up = Gauge("seamwise_database_up", "Whether the database answered this time.", registry=self.registry)
        ProcessCollector(registry=self.registry)

    def answered(self, method: str, route: str, status: int, took_s: float) -> None:
        """Counts one request. route: its pattern, so that there are few."""
        method = method if method in _METHODS else "other"
        self._answers.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(took_s)

    def text(self, gauges: Gauges | None, server: Server) -> bytes:
        """All figures in Prometheus' text format. gauges: None where the database does not answer."""
        self._up.set(0 if gauges is None else 1)
        if gauges is not None:
            for state, count in gauges.jobs.items():
                self._jobs.labels(state).set(count)
            self._waiting.set(gauges.oldest_queued_s or 0.0)
            self._beat.set(float("nan") if gauges.heartbeat_age_s is None else gauges.heartbeat_age_s)
        version = server.status().version
        self._serving.clear()
        if version:
            self._serving.labels(version).set(1)
        return generate_latest(self.registry)
