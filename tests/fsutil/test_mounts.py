"""What a file system's locks are worth is read from how it is mounted."""

import pytest

from hashdist.fsutil.mounts import mount_of

LINE = "36 35 98:0 / {place} rw,noatime{more} shared:1 - {kind} server:/x rw,{options}\n"


@pytest.mark.parametrize(
    ("kind", "options", "weak"),
    [
        ("lustre", "flock", False),
        ("lustre", "localflock", True),
        ("lustre", "noflock", True),
        ("nfs4", "vers=4.2,local_lock=none", False),
        ("nfs", "vers=3,nolock", True),
        ("nfs", "local_lock=all", True),
        ("nfs", "local_lock=flock", True),
        ("ext4", "errors=remount-ro", False),
        ("gpfs", "x", False),
    ],
)
def test_locks(tmp_path, kind, options, weak):
    """Locks that are local to a machine, or none at all, are told from those that all machines see."""
    (tmp_path / "mounts").write_text(
        LINE.format(place="/", more="", kind="ext4", options="x")
        + LINE.format(place="/gp\\040fs", more="", kind=kind, options=options)
    )
    mount = mount_of("/gp fs/store", mounts=str(tmp_path / "mounts"))
    assert (mount.kind, mount.place, mount.is_weak) == (kind, "/gp fs", weak)
    assert mount_of("/gpx", mounts=str(tmp_path / "mounts")).kind == "ext4"


def test_here(tmp_path):
    """The file system of a directory that is there, or is not, has a name."""
    assert mount_of(str(tmp_path)).kind == mount_of(str(tmp_path / "no/such")).kind != "unknown"
