"""The sizes that TensorRT engines are built for: one grid, or all grids of evaluation videos."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from runtime.bundle import manifest as names
from runtime.bundle.manifest import Manifest
from runtime.inputs.vision_layout import vision_layout

Shape = tuple[int, ...]
Grid = tuple[int, int]

# The released protocol resizes frames to 128 to 768 tokens; the longer side reaches 40 at about 2:1
EVALUATION_GRIDS: tuple[Grid, Grid, Grid] = ((7, 7), (24, 32), (40, 40))


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

    @property
    def sizes(self) -> dict[str, Shape] | None:
        """The one shape of every input; None where they vary."""
        if any(span.least != span.most for span in self.ranges.values()):
            return None
        return {name: span.usual for name, span in self.ranges.items()}

    def holds(self, shapes: Mapping[str, Shape]) -> bool:
        """Whether inputs of these shapes can be run."""
        return all(self.ranges[name].holds(shape) for name, shape in shapes.items())


def shape_profiles(manifest: Manifest, graph: str) -> tuple[ShapeProfile, ShapeProfile]:
    """The profiles of a graph: `live`, static, at the bundle's grid; `evaluation`, dynamic."""
    grid = (manifest.settings.live_height, manifest.settings.live_width)
    live, evaluation = (grid,) * 3, EVALUATION_GRIDS
    return _profile("live", manifest, graph, live), _profile(
        "evaluation", manifest, graph, evaluation
    )


def _profile(
    name: str, manifest: Manifest, graph: str, grids: tuple[Grid, Grid, Grid]
) -> ShapeProfile:
    least, usual, most = (input_shapes(manifest, graph, grid) for grid in grids)
    return ShapeProfile(name, {key: ShapeRange(least[key], usual[key], most[key]) for key in usual})


def input_shapes(manifest: Manifest, graph: str, grid: Grid) -> dict[str, Shape]:
    """The shapes of a graph's inputs for steps of `grid` (H, W)."""
    shape = manifest.geometry.vision
    height, width = grid
    sizes = {
        "frame_height": height * shape.token_pixels,
        "frame_width": width * shape.token_pixels,
        "height": height,
        "width": width,
        "visual_tokens": height * width,
    }
    if graph == names.VISION:
        layout = vision_layout(shape, height, width)
        sizes |= {"windows": layout.order.shape[0], "patches": layout.place.size}
    return {
        spec.name: tuple(sizes[axis] if isinstance(axis, str) else axis for axis in spec.shape)
        for spec in manifest.graphs[graph].inputs
    }
