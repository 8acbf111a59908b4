"""The roots of the error tree; specific errors stand beside the code that raises them.

An error says what first and quotes its subject, in lower case and without a full stop, as git does.
Its class decides the exit code of the command line (see ``docs/reference/exit-codes.md``).
"""

from __future__ import annotations


class HashdistError(Exception):
    """Anything that hashdist refuses or cannot do; the answer is no."""

    exit_code = 1
    code = "refused"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InvalidError(HashdistError, ValueError):
    """An input that breaks its rules; ``problems`` holds one line for each fault found."""

    code = "invalid"

    def __init__(self, *problems: str, hint: str | None = None) -> None:
        super().__init__("\n".join(problems), hint=hint)
        self.problems = problems


class UsageError(HashdistError):
    """A command line that cannot be understood."""

    exit_code = 2
    code = "usage"


class NotFoundError(HashdistError, LookupError):
    """Something named is not there, or not built yet."""

    exit_code = 3
    code = "not_found"


class ConflictError(HashdistError):
    """Two parties want different things, or the live system differs from its pin."""

    exit_code = 4
    code = "conflict"


class NetworkError(HashdistError):
    """Something could not be fetched."""

    exit_code = 7
    code = "network"


class DamagedError(HashdistError):
    """Something in the store is not what its name says."""

    exit_code = 8
    code = "damaged"


class BusyError(HashdistError):
    """Somebody else holds what is needed, for longer than we wait."""

    exit_code = 75
    code = "busy"
