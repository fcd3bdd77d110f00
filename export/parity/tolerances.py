"""How far an exported graph may be from PyTorch, and what that comes to for given values."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from runtime.bundle import names
from runtime.bundle.manifest import EncoderType, Manifest, ParityFigure

TOLERANCE = 1e-4  # of the larger of 1 and the root mean square of PyTorch's values
HALF_TOLERANCE = 5e-3  # the same where attention is computed in float16
HALF_PRODUCTS_TOLERANCE = 1e-2  # and where what enters and leaves each product is, too
ROUNDED_TOLERANCE = 1e-3  # the same for the decoder over the same rounded weights
EIGHT_BIT_TOLERANCE = 0.3  # where activations are rounded too; a wrong layout is off by over 1
# Of an encoder's largest value: four units of its type, in 8 bits six.
NARROW_TOLERANCE: dict[EncoderType, float] = {"fp16": 4e-3, "bf16": 3e-2, "int8": 0.05}
MEASURED_LAYERS = 8  # of the decoders that the tolerances were measured on
DEVICE_SLACK = 4  # times these for kernels that nobody here has run
WRONG = 0.5  # of the same size: what is further off is no rounding
LEAST_CHANGE = 1e-3  # of a logit, by a residual that is not zero


def decoder_tolerance(manifest: Manifest) -> float:
    """How near the logits have to come to PyTorch's over the same weights."""
    quantization = manifest.quantization
    if manifest.target == "cuda":
        return HALF_TOLERANCE if quantization.kind == "float32" else HALF_PRODUCTS_TOLERANCE
    if quantization.accumulation == "int8":
        return EIGHT_BIT_TOLERANCE
    return ROUNDED_TOLERANCE if quantization.kind == "int4" else TOLERANCE


def device_tolerance(manifest: Manifest) -> float:
    """The same for the decoder of a device, as a whole: roundings add up over the layers."""
    depth = manifest.geometry.decoder.layers / MEASURED_LAYERS
    return min(WRONG, DEVICE_SLACK * decoder_tolerance(manifest) * max(1.0, depth**0.5))


def encoder_type(manifest: Manifest, graph: str) -> EncoderType:
    """The coarsest type on the way to an encoder's outputs: V-JEPA feeds the resampler."""
    kind = manifest.encoders[graph]
    resampler = graph in (names.SCENE, names.GAZE)
    return manifest.encoders[names.VJEPA] if resampler and kind == "float32" else kind


def encoder_figure(
    manifest: Manifest,
    graph: str,
    case: str,
    ours: NDArray[np.float32],
    theirs: NDArray[np.float32],
) -> ParityFigure:
    """Of an encoder; below float32, against the largest value, whose last digit is the coarsest."""
    kind = encoder_type(manifest, graph)
    if kind == "float32":
        return figure(graph, case, ours, theirs)
    largest = max(1.0, float(np.abs(theirs).max()))
    difference = float(np.abs(ours - theirs).max())
    return ParityFigure(graph, case, difference, NARROW_TOLERANCE[kind] * largest)


def figure(
    graph: str,
    case: str,
    ours: NDArray[np.float32],
    theirs: NDArray[np.float32],
    tolerance: float = TOLERANCE,
) -> ParityFigure:
    """The largest difference, against the tolerance for values of that size."""
    size = float(np.sqrt(np.mean(np.square(theirs, dtype=np.float64))))
    difference = float(np.abs(ours - theirs).max())
    return ParityFigure(graph, case, difference, tolerance * max(1.0, size))
