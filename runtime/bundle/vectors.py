"""Reference vectors: a small real input of every graph, and what PyTorch made of it.

They lie in the bundle (`vectors.npz`), so that a device can be asked whether it computes what it
should before it is believed. Of large outputs some values are kept, spread evenly over all.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from devices.printable import printable
from runtime.bundle.manifest import Manifest
from runtime.bundle.names import VECTORS_FILE
from runtime.errors import BundleError

MOST_VALUES = 8192  # kept of one output
GOLDEN = (5**0.5 - 1) / 2  # of the size: the step from one kept value to the next
TEXT_TOKENS, DECODED_TOKENS = 8, 4  # of the decoder's text: prefilled at once, and one by one
ODD_GRID = (3, 5)  # visual tokens: windows that are not full, rows that are not of lanes
SPARE_TOKENS = 7  # of the decoder's buffers that stay empty
SHORT_CLIP = 2  # tubelets: V-JEPA takes a tenth of what a whole clip takes it

# What is compared, in the order in which a device is asked.
FEATURES = "features"
LIVE, ODD = "visual embeddings, live grid", "visual embeddings, odd grid"
TOKENS, KEYS, VALUES = "scene tokens", "scene keys", "scene values"
GAZED, RESTING = "residuals, gaze", "residuals, no active fixation"
PREFILL, DECODE = "logits, prefill", "logits, token by token"
COMPARED = (FEATURES, LIVE, ODD, TOKENS, KEYS, VALUES, GAZED, RESTING, PREFILL, DECODE)
OF_CLIP = (FEATURES, TOKENS, KEYS, VALUES, GAZED, RESTING)  # what rests on V-JEPA's clip
# Of devices beside the CPU, where a run has other kernels by what is in it:
BESIDE = "logits, a step into two contexts"  # what was sealed as PREFILL, in the second context
MANY = "logits, many rows in one run"  # as in pieces, which what was sealed has shown right


def of_short_clip(case: str) -> str:
    """The same as one `OF_CLIP`, over a clip of SHORT_CLIP tubelets."""
    return f"{case}, short clip"


SEALED = (*COMPARED, *map(of_short_clip, OF_CLIP))
ASKED = (*SEALED, BESIDE, MANY)

LARGEST_FILE = 1 << 26  # bytes; that of a 7B model has a tenth of it


def places(size: int) -> NDArray[np.int64]:
    """Which of `size` values are kept: all, or MOST_VALUES spread so that no axis is favoured."""
    if size <= MOST_VALUES:
        return np.arange(size)
    step = int(size * GOLDEN) | 1
    while np.gcd(step, size) != 1:
        step += 2
    return np.arange(MOST_VALUES, dtype=np.int64) * step % size


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """The kept values of an output of `size` values (float32), and how far one may be off."""

    values: NDArray[np.float32]
    size: int
    bound: float

    @classmethod
    def of(cls, output: NDArray[np.floating], bound: float) -> Sample:
        """Of what PyTorch computed."""
        values = output.reshape(-1)[places(output.size)].astype(np.float32)
        return cls(values, output.size, bound)

    def difference(self, output: NDArray[np.floating]) -> float:
        """The largest difference from what a device computed; infinite for what is no number."""
        if output.size != self.size:
            return float("inf")
        found = output.reshape(-1)[places(self.size)]
        with np.errstate(invalid="ignore", over="ignore"):
            largest = float(np.abs(found.astype(np.float64) - self.values).max(initial=0.0))
        return largest if np.isfinite(output).all() else float("inf")

    def allowed(self, relative: float) -> float:
        """The bound, or `relative` times the root mean square where that is more."""
        mean = float(np.mean(np.square(self.values, dtype=np.float64)))
        return max(self.bound, relative * mean**0.5)


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceVectors:
    """Inputs, and samples of the outputs by what is compared.

    `live` and `odd` (2, 28H, 28W, 3) uint8: pairs of frames, at the live grid and at another one.
    `encoding` (d_latent,) float32. For the decoder, of steps at the odd grid: `visual` (H*W, D),
    `gazed` and `resting` (injected, H*W, D), float16, and `text`
    (TEXT_TOKENS + DECODED_TOKENS,) int64.
    """

    live: NDArray[np.uint8]
    odd: NDArray[np.uint8]
    encoding: NDArray[np.float32]
    visual: NDArray[np.float16]
    gazed: NDArray[np.float16]
    resting: NDArray[np.float16]
    text: NDArray[np.int64]
    samples: dict[str, Sample]

    def steps(self) -> list[tuple[NDArray[np.float32], NDArray[np.float32] | None]]:
        """Visual embeddings and residuals of the decoder's steps; the last is without gaze."""
        visual = self.visual.astype(np.float32)
        return [
            (visual, self.gazed.astype(np.float32)),
            (visual[::-1].copy(), self.resting.astype(np.float32)),
            (np.roll(visual, 1, axis=0), None),
        ]


INPUTS = ("live", "odd", "encoding", "visual", "gazed", "resting", "text")


def encoded_vectors(vectors: ReferenceVectors) -> bytes:
    """The content of `vectors.npz`, the same whenever the vectors are."""
    arrays = {name: getattr(vectors, name) for name in INPUTS}
    for number, name in enumerate(SEALED):
        sample = vectors.samples[name]
        arrays[f"{number}.values"] = sample.values
        arrays[f"{number}.size"] = np.int64(sample.size)
        arrays[f"{number}.bound"] = np.float64(sample.bound)
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    return content.getvalue()


def read_vectors(folder: Path, manifest: Manifest) -> ReferenceVectors:
    """Those of the bundle in `folder`. Raises BundleError for a file that holds no such thing."""
    path = folder / VECTORS_FILE
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
        if len(content) > LARGEST_FILE:
            raise ValueError(f"it has more than {LARGEST_FILE} bytes")
        return _decoded(content, manifest)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        reason = printable(str(error), 120) or type(error).__name__
        raise BundleError(f"{path}: no reference vectors: {reason}: export it again") from error


def _decoded(content: bytes, manifest: Manifest) -> ReferenceVectors:
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in INPUTS}
        samples = {
            name: Sample(
                stored[f"{number}.values"],
                int(stored[f"{number}.size"]),
                float(stored[f"{number}.bound"]),
            )
            for number, name in enumerate(SEALED)
        }
    for name, (kind, shape) in _expected(manifest).items():
        found = arrays[name]
        if found.dtype != kind or found.shape != shape:
            raise ValueError(f"{name} is {found.dtype} of shape {found.shape}")
    for name, sample in samples.items():
        kept = min(sample.size, MOST_VALUES)
        if sample.values.dtype != np.float32 or sample.values.shape != (kept,) or kept < 1:
            raise ValueError(f"{name} is no sample")
        if not np.isfinite(sample.values).all() or not 0 <= sample.bound < np.inf:
            raise ValueError(f"{name} is not finite")
    if not 0 <= arrays["text"].min() <= arrays["text"].max() < manifest.geometry.decoder.vocabulary:
        raise ValueError("its text is not of the vocabulary")
    return ReferenceVectors(**arrays, samples=samples)


def _expected(manifest: Manifest) -> dict[str, tuple[type, tuple[int, ...]]]:
    """Types and shapes of the inputs."""
    geometry, settings = manifest.geometry, manifest.settings
    token, width = geometry.vision.token_pixels, geometry.decoder.width
    injected = len(geometry.resampler.injected_layers)
    live = (2, settings.live_height * token, settings.live_width * token, 3)
    residuals = (np.float16, (injected, ODD_GRID[0] * ODD_GRID[1], width))
    return {
        "live": (np.uint8, live),
        "odd": (np.uint8, (2, ODD_GRID[0] * token, ODD_GRID[1] * token, 3)),
        "encoding": (np.float32, (geometry.resampler.width,)),
        "visual": (np.float16, (ODD_GRID[0] * ODD_GRID[1], width)),
        "gazed": residuals,
        "resting": residuals,
        "text": (np.int64, (TEXT_TOKENS + DECODED_TOKENS,)),
    }
