"""What gc keeps besides what must be kept."""

from __future__ import annotations

from dataclasses import dataclass

DAY = 24 * 3600
DEFAULT_GRACE = 14 * DAY


@dataclass(frozen=True, slots=True)
class Policy:
    """How much is kept, and for how long. By default: everything that history reaches."""

    grace: int = DEFAULT_GRACE
    """Seconds for which what became unreachable stays."""
    reflog_expire: float | None = None
    """Seconds for which reflogs keep what they name; None: as long as the grace period."""
    keep_last: int | None = None
    """Of each profile's history only so many of the newest commits keep their artifacts."""
    older_than: int | None = None
    """Only commits made in the last so many seconds keep their artifacts."""
    drop_build_inputs: bool = False
    """Whether artifacts go that nothing refers to at run time."""

    @property
    def reflog_age(self) -> float:
        """Seconds for which reflogs keep what they name."""
        return self.grace if self.reflog_expire is None else self.reflog_expire

    @property
    def thins_history(self) -> bool:
        """Whether old commits may lose their artifacts."""
        return self.keep_last is not None or self.older_than is not None
