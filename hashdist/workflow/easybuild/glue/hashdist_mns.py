"""A module naming scheme for EasyBuild: installations and modules by the hash of what they are made from.

It wraps the site's own scheme, which names the modules that users see. See docs/how-to/easybuild.md.
"""

import os
import re
import sys

from easybuild.tools.build_log import EasyBuildError
from easybuild.tools.config import install_path
from easybuild.tools.module_naming_scheme.mns import ModuleNamingScheme

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

import hashdist_easybuild as glue  # noqa: E402 - found by the line above
import hashdist_modules as modules  # noqa: E402


class HashDistMNS(ModuleNamingScheme):
    """Names by hash."""

    REQUIRED_KEYS = ["name", "version", "versionsuffix", "toolchain", "sources", "patches", "checksums"]

    def det_full_module_name(self, ec):
        """Give ``name/version-hash``."""
        return "%s/%s" % (ec["name"], self._describe(ec).module_version)

    def det_short_module_name(self, ec):
        """Give the same: there is no hierarchy by hash."""
        return self.det_full_module_name(ec)

    def det_install_subdir(self, ec):
        """Give the path below the store's artifacts."""
        return self._describe(ec).subdirectory

    def det_module_subdir(self, ec):
        """Give none."""
        return ""

    def det_module_symlink_paths(self, ec):
        """Give none: categories are for what users see."""
        return []

    def det_modpath_extensions(self, ec):
        """Give none."""
        return []

    def det_init_modulepaths(self, ec):
        """Give none."""
        return []

    def is_short_modname_for(self, short_modname, name):
        """Tell whether a module is of that software."""
        return re.match("^%s/\\S+-[0-9a-f]{%d}$" % (re.escape(name), glue.DIGITS), short_modname) is not None

    def _describe(self, ec):
        try:
            found = glue.describe(ec)
            modules.restore_module(found, os.path.join(install_path("mod"), "all"))
            return found
        except glue.HashdistError as error:
            raise EasyBuildError("hashdist: %s", error)
