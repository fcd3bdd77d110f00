"""A bundle of random weights and the checkpoints it is made of, exported for one benchmark."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from runtime.errors import RuntimeFault

SHAPES = ("tiny", "0.5b", "3b", "7b")


@dataclass(frozen=True, slots=True)
class Origin:
    """A bundle, and the checkpoints it was made of; they hold `qwen`, `vjepa.pt`, `gazeqwen.pt`."""

    bundle: Path
    checkpoints: Path

    @property
    def files(self) -> tuple[Path, Path, Path]:
        """The Qwen2.5-VL folder, V-JEPA's file and GazeQwen's."""
        folder = self.checkpoints
        return folder / "qwen", folder / "vjepa.pt", folder / "gazeqwen.pt"


def add_origin(parser: argparse.ArgumentParser) -> None:
    """The options that say which bundle, and what it was made of."""
    parser.add_argument("--bundle", type=Path, metavar="DIR", help="made from --checkpoints")
    parser.add_argument(
        "--checkpoints", type=Path, metavar="DIR", help="qwen, vjepa.pt and gazeqwen.pt"
    )
    parser.add_argument("--shape", choices=SHAPES, default="0.5b", help="or random weights (0.5b)")
    parser.add_argument("--quant", default="int4", help="of random weights (int4)")


def opened_origin(options: argparse.Namespace, folder: Path) -> Origin:
    """The bundle that the command line gives, or a random one, exported into `folder`.

    Raises RuntimeFault.
    """
    if (options.bundle is None) != (options.checkpoints is None):
        raise RuntimeFault("give --bundle and the --checkpoints that it was made of, or neither")
    if options.bundle is not None:
        return Origin(options.bundle, options.checkpoints)
    from export.__main__ import main

    out = folder / f"random-{options.shape}"
    drawn = ["--random", options.shape, "--quant", options.quant, "--target", "cpu"]
    if main([*drawn, "--out", str(out)]):
        raise RuntimeFault(f"--shape {options.shape}: random weights could not be exported")
    return Origin(out, out.with_name(f"{out.name}-checkpoints"))
