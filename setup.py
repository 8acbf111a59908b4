"""Metadata is in pyproject.toml; here is what it cannot say: how ``hdistjail.so`` is built, and what a wheel fits."""

import os
import shlex

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

JAIL = Extension(
    "hashdist.preload.hdistjail",
    ["hashdist/preload/hdistjail.c"],
    # -O2 is needed: dlopen must be called by a jump
    extra_compile_args="-std=gnu11 -O2 -g0 -fPIC -fvisibility=hidden -Wall -Wextra -Wno-unused-parameter".split(),
    libraries=["dl"],  # where dlsym was before glibc 2.34
    extra_link_args="-Wl,-z,now -Wl,-z,relro -s".split(),
    optional=True,  # without a compiler all but the jail works; a test asserts that the library is there
)


class BuildPreload(build_ext):
    """The library is no Python module: it has a plain name, and is built without the flags of Python's modules."""

    def get_ext_filename(self, fullname: str) -> str:
        """Give the file's name, without the tag of a Python."""
        return fullname.replace(".", "/") + ".so"

    def build_extension(self, ext: Extension) -> None:
        """Compile with CC alone: sanitizers, coverage and run paths may not reach every process of a build."""
        compiler = shlex.split(os.environ.get("CC") or "cc")
        self.compiler.set_executables(compiler_so=compiler, linker_so=[*compiler, "-shared"])
        super().build_extension(ext)


class PlatformWheel(bdist_wheel):
    """One wheel for all Pythons, but for one platform."""

    def finalize_options(self) -> None:
        """Say that there is a library in it."""
        super().finalize_options()
        self.root_is_pure = False

    def get_tag(self) -> tuple[str, str, str]:
        """Give the tags of the wheel's name."""
        return "py3", "none", super().get_tag()[2]


setup(ext_modules=[JAIL], cmdclass={"build_ext": BuildPreload, "bdist_wheel": PlatformWheel})
