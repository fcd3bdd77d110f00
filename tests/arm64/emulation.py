"""Programs of this project on an emulated ARM64 processor."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROCESSOR = "cortex-a76"  # what an Orin's cores are close to: NEON with dot products, no SVE


@dataclass(frozen=True)
class Emulation:
    """What `.ci/arm64 DIR` put together."""

    folder: Path

    def run(self, *arguments, timeout=1800):
        """`python ARGUMENTS` in the project's root."""
        command = [self.folder / "qemu-aarch64", "-L", self.folder / "root", "-cpu", PROCESSOR]
        command += [self.folder / "root/usr/bin/python3.11", *arguments]
        return subprocess.run(
            [str(word) for word in command],
            cwd=ROOT,
            env={"PYTHONPATH": f"{self.folder / 'site'}:{ROOT}", "HOME": str(self.folder)},
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )
