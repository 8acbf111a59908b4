"""Root acts on somebody's store as that somebody: nothing of root's is left there, and no build has root's rights."""

from __future__ import annotations

import os
import pwd

from hashdist.errors import HashdistError

#: Root's own groups, while we act as somebody else.
_groups: list[int] = []
_acted_as: list[int] = []


class UnreadableError(HashdistError):
    """Programs of ours that the owner of a store may not read."""

    code = "unreadable"


def is_other(path: str) -> bool:
    """Whether we are root, and the store at `path` is somebody else's."""
    try:
        return os.geteuid() == 0 and os.stat(path).st_uid != 0
    except OSError:
        return False


def act_as_owner(path: str, *, for_good: bool) -> None:
    """Be the owner of the store at `path`, if we are root: `for_good`, or until `be_ourselves_again`."""
    if not is_other(path):
        return
    status = os.stat(path)
    _groups[:] = os.getgroups()
    _acted_as[:] = [status.st_uid]
    try:
        os.initgroups(pwd.getpwuid(status.st_uid).pw_name, status.st_gid)
    except KeyError:
        os.setgroups([status.st_gid])
    if for_good:
        os.setresgid(status.st_gid, status.st_gid, status.st_gid)
        os.setresuid(status.st_uid, status.st_uid, status.st_uid)
    else:
        os.setegid(status.st_gid)
        os.seteuid(status.st_uid)
    for file in (__file__, os.__file__):
        if not os.access(file, os.R_OK, effective_ids=True):
            raise UnreadableError(
                f"root acts as the owner of the store, uid {status.st_uid}, who may not read '{file}' of hdist itself",
                hint="install hdist, and the Python that runs it, where everybody may read them",
            )


def acted_as() -> int | None:
    """The uid of the owner, if we were root and became that one."""
    return _acted_as[0] if _acted_as else None


def be_ourselves_again() -> None:
    """Be root again, before another program is run for root."""
    if os.getuid() == 0 and os.geteuid() != 0:
        os.seteuid(0)
        os.setegid(os.getgid())
        os.setgroups(_groups)
