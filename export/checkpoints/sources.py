"""What a bundle is made from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """The files a bundle is made from, and whether their weights mean anything.

    `layers`: at which decoder layers the resampler's modules were trained, if it was stated.
    """

    qwen: Path
    vjepa: Path
    gaze: Path
    vjepa_pixels: int
    weights: Literal["trained", "random"]
    layers: tuple[int, ...] | None = None

    def files(self) -> tuple[Path, ...]:
        """Everything that is read, or may be."""
        beside = sorted(self.qwen.iterdir()) if self.qwen.is_dir() else []
        return (self.vjepa, self.gaze, *beside)
