"""Small file systems of a test's own: full, without inodes, read-only. Only root can mount them."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


class SmallDisk:
    """A mounted tmpfs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """Until it takes not a byte more."""
        with self._ballast.open("ab", buffering=0) as file:
            for size_bytes in (4096, 1):
                with contextlib.suppress(OSError):
                    while file.write(b"x" * size_bytes):
                        pass

    def use_up_inodes(self) -> None:
        """Until it takes not a file more."""
        with contextlib.suppress(OSError):
            for number in range(1 << 20):
                (self.folder / f"ballast-{number}").touch()

    def free(self) -> None:
        """There is room again."""
        for path in self.folder.glob("ballast*"):
            path.unlink()

    def read_only(self, is_read_only: bool) -> None:
        """As after an error of the device."""
        option = f"remount,{'ro' if is_read_only else 'rw'}"
        subprocess.run(["mount", "-o", option, self.folder], check=True, capture_output=True)


@contextlib.contextmanager
def mounted(folder: Path, options: str = "size=2m") -> Iterator[SmallDisk]:
    """Skips the test where this user may not mount."""
    folder.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"{options},mode=0700", "llmops-test", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root can mount the small disk of this test")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "-l", folder], check=True)
