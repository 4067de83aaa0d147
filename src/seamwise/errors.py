"""Errors whose message is meant for a person: each names what is wrong and the way out, and carries its exit code."""


class SeamwiseError(Exception):
    """Something failed that is nobody's mistake: a full disk, no memory, a loss that turned NaN."""

    exit_code = 1


class UsageError(SeamwiseError):
    """An option, a parameter or a name that does not exist or cannot be combined."""

    exit_code = 2


class BadInputError(SeamwiseError):
    """A file or value that cannot be used as it is: the message names it and what to do."""

    exit_code = 3


class NotFoundError(SeamwiseError):
    """Something named does not exist."""

    exit_code = 4


class RefusedError(SeamwiseError):
    """Something possible that would lose or mix data, so it is not done without being asked for."""

    exit_code = 5
