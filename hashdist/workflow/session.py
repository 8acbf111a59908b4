"""What a command works with: a store, and what the outside world lends it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from hashdist.errors import HashdistError
from hashdist.hostscan.platform import this_platform
from hashdist.hostscan.scans import Where
from hashdist.objects.ids import SourceId
from hashdist.objects.signing import Signer
from hashdist.objects.spec import Platform
from hashdist.progress import SILENT, Progress
from hashdist.remote.fetching import bring_source
from hashdist.remote.remotes import is_local, remotes
from hashdist.sources.fetching import Fetcher
from hashdist.sources.settings import FetchSettings
from hashdist.stack.packages import JailChoice
from hashdist.store.store import Store


@dataclass(frozen=True, slots=True)
class Session:
    """A store with the user's environment; everything the verbs need is a field."""

    store: Store
    """The open store."""
    env: Mapping[str, str]
    """The user's environment: PATH for finding host software, pip's settings."""
    directory: str | None
    """What relative paths in a stack file are relative to; None: nobody knows."""
    fetching: FetchSettings = field(default_factory=FetchSettings)
    """How sources are fetched."""
    jobs: int = 1
    """Cores for builds, in all."""
    progress: Progress = SILENT
    """Told what happens."""
    platform: Platform = field(default_factory=this_platform)
    """Where results run."""

    where: Where = field(default_factory=Where.here)
    """This machine, and its class."""
    jail: JailChoice | None = None
    """How builds are jailed, whatever the stack file says; None: as it says."""
    default_jail: JailChoice = "report"
    """How builds are jailed of which the stack file says nothing."""
    foreign: bool = False
    """Whether the stack at hand came from elsewhere."""
    trust: bool = False
    """Whether such a stack may name what lies outside of its own directory."""
    signers: str | None = None
    """A file of those of whom one must have signed what comes from elsewhere; None: nobody has to."""
    signer: Signer | None = None
    """Signs the commits that are made; None: they are not signed."""

    @property
    def fetcher(self) -> Fetcher:
        """Fetches sources."""
        return Fetcher(self.store, self.directory, self.env, self.fetching, self.progress, self._from_remotes)

    def _from_remotes(self, id: SourceId) -> bool:
        """Bring a source from the first remote that has it."""
        network = Fetcher(self.store, self.directory, self.env, self.fetching, self.progress).network()
        for remote in remotes(self.store).values():
            if not self.fetching.offline or is_local(remote.url):
                try:
                    if bring_source(self.store, remote, id, env=self.env, network=network):
                        return True
                except HashdistError as error:
                    self.progress.note(f"{remote.name}: {error.message}")
        return False

    def beside(self, path: str) -> Session:
        """The same, with relative paths relative to the directory of the file at `path`."""
        return dataclasses.replace(self, directory=os.path.dirname(os.path.abspath(path)))
