"""A typed client of the API."""

from seamwise.client.calls import AwayError
from seamwise.client.client import Client
from seamwise.client.jobs import JobFailedError

__all__ = ["AwayError", "Client", "JobFailedError"]
