"""Sign commits and tags with ssh keys, in git's own format, and check what is signed through git."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hashdist import process
from hashdist.errors import HashdistError, InvalidError


class SigningError(HashdistError):
    """Something that could not be signed."""

    code = "signing"


class UnsignedError(InvalidError):
    """Something that is not signed by anybody who may."""

    code = "unsigned"


@dataclass(frozen=True, slots=True)
class Signer:
    """Signs with a key."""

    key: str
    """The path of an ssh key: the private one, or the public one of a key that the agent has."""
    env: Mapping[str, str]
    """The user's environment: ssh's agent, PATH."""

    def sign(self, payload: bytes) -> str:
        """The signature of some bytes, as git has ssh make it; raises `SigningError`."""
        command = ["ssh-keygen", "-Y", "sign", "-n", "git", "-f", self.key]
        try:
            return process.run(command, env={**self.env, "LC_ALL": "C"}, stdin=payload).decode()
        except process.ProgramFailedError as error:
            words = error.stderr.strip().splitlines()[-1:] or ["it said nothing"]
            raise SigningError(
                f"cannot sign with '{self.key}': {words[0]}", hint="hdist config trust.sign names the key"
            ) from error


def signed_commit(payload: bytes, signature: str) -> bytes:
    """A commit with a signature among its headers."""
    head, _, message = payload.partition(b"\n\n")
    lines = signature.rstrip("\n").replace("\n", "\n ")
    return b"%b\ngpgsig %b\n\n%b" % (head, lines.encode(), message)


def check_signature(id: str, signers: str, *, kind: str, env: Mapping[str, str]) -> None:
    """Check that a commit or tag (`kind`) is signed by somebody in the file `signers`; raises `UnsignedError`.

    `env` is that of the git program, for the repository where it is. The file is of the format that ``ssh-keygen``
    calls ALLOWED SIGNERS.
    """
    settings = ["-c", "gpg.format=ssh", "-c", f"gpg.ssh.allowedSignersFile={signers}"]
    # git goes by what a signature looks like: those of other kinds are by nobody in that file
    settings += [
        word for name in ("program", "openpgp.program", "x509.program") for word in ("-c", f"gpg.{name}=false")
    ]
    try:
        process.run(["git", *settings, f"verify-{kind}", id], env=env)
    except process.ProgramFailedError as error:
        words = error.stderr.strip().splitlines()[-1:] or ["it is not signed"]
        raise UnsignedError(
            f"{kind} {id[:12]} is not signed by anybody in '{signers}': {words[0]}",
            hint="hdist config trust.signers names that file",
        ) from error
