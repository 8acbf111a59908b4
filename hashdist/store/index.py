"""Answers that can be computed again, kept so that having nothing to do is quick: one small file each.

What an entry rests on may be deleted only after the entry is.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from hashdist.fsutil.atomic import write_file

if TYPE_CHECKING:
    from hashdist.objects.ids import CommitId

    from .store import Store

#: Commit to the directory name of its prefix.
PREFIX = "prefix"
#: Commit to the paths of its artifacts, a line each, all sealed.
SEALED = "sealed"
#: Commit to the directory of the stack file it was made of, on this machine.
DIRECTORY = "directory"


def read(store: Store, kind: str, commit: CommitId) -> str | None:
    """The answer for a commit; None if it is not known."""
    try:
        with open(store.inside("index", kind, commit), encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return None


def write(store: Store, kind: str, commit: CommitId, answer: str) -> None:
    """Keep the answer for a commit; a store that we cannot write to goes without."""
    folder = store.inside("index", kind)
    try:
        os.makedirs(folder, exist_ok=True)
        write_file(os.path.join(folder, commit), answer.encode(), durable=False)
    except OSError as error:
        if error.errno not in {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise
