"""The computers that a bundle can be made for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PlatformName = Literal["linux", "windows", "macos"]
PythonVersion = Literal["3.11", "3.12"]

# The C library of Ubuntu 22.04 and Debian 12; wheels that ask for less run on it too.
NEWEST_GLIBC, OLDEST_GLIBC = 35, 5


@dataclass(frozen=True)
class Target:
    """An operating system and a Python.

    platform : Windows and Linux on x86-64, macOS on Apple's own processors.
    python   : as in 3.11.
    """

    platform: PlatformName
    python: PythonVersion

    @property
    def tags(self) -> tuple[str, ...]:
        """What the names of its wheels may end in, the most special first (PEP 425, 600)."""
        if self.platform == "windows":
            return ("win_amd64",)
        if self.platform == "macos":
            return ("macosx_14_0_arm64",)  # pip takes those of older systems, and universal ones, too
        newer = [f"manylinux_2_{minor}_x86_64" for minor in range(NEWEST_GLIBC, OLDEST_GLIBC - 1, -1)]
        return (*newer, "manylinux2014_x86_64", "manylinux2010_x86_64", "manylinux1_x86_64", "linux_x86_64")

    @property
    def markers(self) -> dict[str, str]:
        """What conditions of requirements are judged by (PEP 508)."""
        system = {
            "linux": ("linux", "Linux", "posix", "x86_64"),
            "windows": ("win32", "Windows", "nt", "AMD64"),
            "macos": ("darwin", "Darwin", "posix", "arm64"),
        }[self.platform]
        names = ("sys_platform", "platform_system", "os_name", "platform_machine")
        return {
            **dict(zip(names, system, strict=True)),
            "python_version": self.python,
            "python_full_version": f"{self.python}.9",
            "implementation_name": "cpython",
            "platform_python_implementation": "CPython",
        }

    @property
    def machine(self) -> str:
        """The processor, as Python calls it there."""
        return self.markers["platform_machine"]

    @property
    def launcher(self) -> str:
        """How that Python is called in a terminal there."""
        return f"py -{self.python}" if self.platform == "windows" else f"python{self.python}"

    @property
    def programs(self) -> str:
        """Where an environment there keeps its programs, with the separator."""
        return "environment\\Scripts\\" if self.platform == "windows" else "environment/bin/"
