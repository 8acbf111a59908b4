"""What can go wrong when a host is looked at."""

from __future__ import annotations

from hashdist.errors import BusyError, NotFoundError


class HostNotFoundError(NotFoundError):
    """Software that the host does not have, or of which a part cannot be read."""

    code = "host_not_found"


class HostChangingError(BusyError):
    """Software that is being installed or changed just now."""

    code = "host_changing"
