"""Graphs on the GPU that the processor computes, in the virtual environment made for it."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np

PROGRAM = Path(__file__).with_name("provider.py")


@dataclass(frozen=True)
class SoftwareGpu:
    """What `.ci/gpu DIR` put together."""

    folder: Path

    def run(self, graph, inputs, scratch):
        """Outputs by name, and the number of nodes by "provider operator"."""
        given, out = scratch / "given.npz", scratch / "out"
        np.savez(given, **inputs)
        ended = subprocess.run(
            [self.folder / "venv/bin/python", PROGRAM, graph, given, out],
            env=os.environ
            | {
                "LD_LIBRARY_PATH": str(self.folder / "lib"),
                "VK_DRIVER_FILES": str(self.folder / "driver.json"),
                "VK_ICD_FILENAMES": str(self.folder / "driver.json"),
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        assert ended.returncode == 0, ended.stderr[-2000:]
        with np.load(f"{out}.npz") as outputs:
            return dict(outputs), json.loads(Path(f"{out}.json").read_text())
