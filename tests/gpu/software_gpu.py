"""Programs on the GPU that the processor computes, in the virtual environment made for it."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
PROGRAM = Path(__file__).with_name("provider.py")


# The plugin looks for a GPU of the system first; this lets it take one that the processor computes.
SOFTWARE = "ORT_WEBGPU_EP_ALLOW_SOFTWARE_ADAPTER"


@dataclass(frozen=True)
class SoftwareGpu:
    """What `.ci/gpu DIR` put together. `plugin`: which of its two WebGPU providers runs; `seen`:
    whether the plugin may see this GPU."""

    folder: Path
    plugin: bool = False
    seen: bool = True

    def python(self, *arguments, cache=None, fails=False, timeout=900):
        """`python ARGUMENTS` in the project's root. `cache`: the user's, where verdicts lie."""
        there = self.folder / ("plugin" if self.plugin else "built-in")
        ended = subprocess.run(
            [str(word) for word in (there / "bin/python", *arguments)],
            cwd=ROOT,
            env=os.environ
            | {
                "PYTHONPATH": str(ROOT),
                "LD_LIBRARY_PATH": str(self.folder / "lib"),
                "VK_DRIVER_FILES": str(self.folder / "driver.json"),
                "VK_ICD_FILENAMES": str(self.folder / "driver.json"),
                "MESA_SHADER_CACHE_DIR": str(self.folder / "shaders"),
            }
            | ({SOFTWARE: "1"} if self.seen else {})
            | ({} if cache is None else {"XDG_CACHE_HOME": str(cache)}),
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )
        assert ended.returncode == int(fails), ended.stderr[-2000:] + ended.stdout[-2000:]
        return ended.stdout

    def run(self, graph, inputs, scratch):
        """Outputs of one graph by name, and the number of nodes by "provider operator"."""
        given, out = scratch / "given.npz", scratch / "out"
        np.savez(given, **inputs)
        self.python(PROGRAM, graph, given, out)
        with np.load(f"{out}.npz") as outputs:
            return dict(outputs), json.loads(Path(f"{out}.json").read_text())
