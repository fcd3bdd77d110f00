"""The sizes that a TensorRT engine is built for: one grid, and all grids of evaluation videos."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from runtime.bundle import names
from runtime.bundle.manifest import Manifest
from runtime.inputs.clip_layout import wanted_tubelets
from runtime.inputs.vision_layout import vision_layout

Shape = tuple[int, ...]
Grid = tuple[int, int]

# The released protocol resizes frames to 128 to 768 tokens; the longer side reaches 40 at about 2:1
EVALUATION_GRIDS: tuple[Grid, Grid, Grid] = ((7, 7), (24, 32), (40, 40))
EVALUATION_STEPS = (1, 4, 4)  # of its clips, of two frames each


@dataclass(frozen=True, slots=True)
class ShapeRange:
    """Smallest, usual and largest shape of an input."""

    least: Shape
    usual: Shape
    most: Shape

    def holds(self, shape: Shape) -> bool:
        """Whether `shape` lies within."""
        bounds = zip(self.least, shape, self.most, strict=True)
        return len(shape) == len(self.least) and all(low <= n <= high for low, n, high in bounds)


@dataclass(frozen=True, slots=True)
class ShapeProfile:
    """A name, and the range of every input of one graph."""

    name: str
    ranges: Mapping[str, ShapeRange]

    def holds(self, shapes: Mapping[str, Shape]) -> bool:
        """Whether inputs of these shapes can be run."""
        return all(self.ranges[name].holds(shape) for name, shape in shapes.items())


def shape_profiles(manifest: Manifest, graph: str) -> tuple[ShapeProfile, ShapeProfile]:
    """The profiles of a graph's engine, in its order: `live`, at the bundle's grid alone;
    `evaluation`, over a range."""
    grid = (manifest.settings.live_height, manifest.settings.live_width)
    return (
        _profile("live", manifest, graph, (grid,) * 3, (1,) * 3),
        _profile("evaluation", manifest, graph, EVALUATION_GRIDS, EVALUATION_STEPS),
    )


def _profile(
    name: str,
    manifest: Manifest,
    graph: str,
    grids: tuple[Grid, Grid, Grid],
    steps: tuple[int, int, int],
) -> ShapeProfile:
    least, usual, most = (
        input_shapes(manifest, graph, *sizes) for sizes in zip(grids, steps, strict=True)
    )
    return ShapeProfile(name, {key: ShapeRange(least[key], usual[key], most[key]) for key in usual})


def input_shapes(manifest: Manifest, graph: str, grid: Grid, steps: int = 1) -> dict[str, Shape]:
    """The shapes of a graph's inputs for a clip of `steps` of `grid` (H, W)."""
    shape = manifest.geometry.vision
    height, width = grid
    sizes = {
        "frame_height": height * shape.token_pixels,
        "frame_width": width * shape.token_pixels,
        "height": height,
        "width": width,
        "visual_tokens": height * width,
        "seen": steps * shape.temporal_patch,
        "clip_tubelets": manifest.geometry.vjepa.tubelets,
        "wanted": wanted_tubelets(manifest.geometry.vjepa, steps).size,
    }
    if graph == names.VISION:
        layout = vision_layout(shape, height, width)
        sizes |= {"windows": layout.order.shape[0], "patches": layout.place.size}
    return {
        spec.name: tuple(sizes[axis] if isinstance(axis, str) else axis for axis in spec.shape)
        for spec in manifest.graphs[graph].inputs
    }
