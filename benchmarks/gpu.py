"""What a bundle does per second on this machine, as a table: `python -m benchmarks.gpu BUNDLE`.

Each stage of the live loop by itself, the median of some rounds after one that is not counted: a
pair of frames encoded, a gaze sample, a step prefilled, a token decoded, a question answered. Where
the device's peaks are given, the shares of them that V-JEPA and decoding reach. With `--engine cpu`
it runs anywhere.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from devices import numbers
from devices.parser import Parser, complain
from runtime.bundle.manifest import DECODER, Manifest
from runtime.bundle.opening import Bundle
from runtime.engines.choice import ENGINES, EngineChoice, Machine, choose_engine
from runtime.engines.tensors import Tensor
from runtime.errors import RuntimeFault
from runtime.model.models import Models

HEAD_DIM = 64  # of V-JEPA
BLOCKS = 12  # of its ViT-B
STEPS = 8  # in the context that is measured
NEW_TOKENS = 16


@dataclass(frozen=True, slots=True)
class Peaks:
    """What the device can do: bytes and operations per second, None where it is not said."""

    bandwidth: float | None
    operations: float | None


@dataclass(frozen=True, slots=True)
class Row:
    """A stage, its median in milliseconds, and how often that is in a second or what of a peak."""

    stage: str
    milliseconds: float
    told: str

    @property
    def line(self) -> str:
        """As Markdown."""
        return f"| {self.stage} | {self.milliseconds:.2f} | {self.told} |"


class Stages:
    """One step of random frames and gaze, and a context of a few of them."""

    def __init__(self, models: Models) -> None:
        manifest = models.bundle.manifest
        self._models, self._manifest = models, manifest
        self._grid = (manifest.settings.live_height, manifest.settings.live_width)
        pixels = manifest.geometry.vision.token_pixels
        rng = np.random.default_rng(0)
        size = (self._grid[0] * pixels, self._grid[1] * pixels, 3)
        self._frames = rng.integers(0, 256, (manifest.geometry.vjepa.frames, *size), np.uint8)
        width = manifest.geometry.resampler.width
        self._encoding = rng.uniform(-1, 1, width).astype(np.float32)
        prompt = manifest.prompt
        self._text = np.array([*prompt.after_video, *prompt.before_answer], np.int64)
        tokens = (STEPS + 2) * self._grid[0] * self._grid[1]
        room = len(prompt.before_video) + tokens + len(self._text) + NEW_TOKENS
        self._visual: Tensor = models.visual(self._frames[:2])
        self._features: Tensor = models.features(self._frames)
        self._scene = models.scene(self._features, 0, 1, self._grid)
        self._residuals: Tensor = models.residuals(self._scene, self._encoding)
        self.context, self._other = (models.context(self._grid, room) for _ in range(2))
        for _ in range(STEPS):
            self.both()
        self._mark = self.context.mark()

    def vjepa(self) -> None:
        """Features of a pair."""
        self._features = self._models.features(self._frames)

    def vision(self) -> None:
        """Visual embeddings of a pair."""
        self._visual = self._models.visual(self._frames[:2])

    def gaze(self) -> None:
        """Residuals of a new gaze."""
        self._residuals = self._models.residuals(self._scene, self._encoding)

    def prefill(self) -> None:
        """A step into one context."""
        self.context.append_step(self._visual, self._residuals)

    def both(self) -> None:
        """A step into both open contexts."""
        if self.context.saves_runs:
            self.context.append_step_beside(self._other, self._visual, self._residuals)
        else:
            self.prefill()
            self._other.append_step(self._visual, self._residuals)

    def rewind(self) -> None:
        """The contexts as they were before a question."""
        for context in (self.context, self._other):
            context.rewind(self._mark)

    def question(self) -> None:
        """The first token of an answer: the tail step, and the text."""
        self.gaze()
        self.context.defer_step(self._visual, self._residuals)
        self.context.append_text(self._text)

    def token(self) -> None:
        """One more."""
        self.context.append_text(self._text[:1])


def measured(stages: Stages, manifest: Manifest, peaks: Peaks, rounds: int) -> Iterator[Row]:
    """The rows of the table."""
    vjepa = _median(stages.vjepa, rounds)
    reached = _vjepa_operations(manifest) / (vjepa / 1e3)
    yield Row(
        "V-JEPA, a pair", vjepa, f"{reached / 1e12:.2f} TFLOP/s{_of(reached, peaks.operations)}"
    )
    vision = _median(stages.vision, rounds)
    yield Row("vision, a pair", vision, f"{1e3 / (vjepa + vision):.1f} pairs per s with V-JEPA")
    gaze = _median(stages.gaze, rounds)
    yield Row("residuals of a new gaze", gaze, f"{1e3 / gaze:.1f} residuals per s")
    prefill = _median(stages.prefill, rounds, stages.rewind)
    tokens = manifest.settings.live_height * manifest.settings.live_width
    yield Row(f"prefill of {tokens} tokens", prefill, f"{tokens * 1e3 / prefill:.0f} tokens per s")
    both = _median(stages.both, rounds, stages.rewind)
    yield Row("the same into two contexts", both, f"{both / prefill:.2f} times that")
    question = _median(stages.question, rounds, stages.rewind)
    yield Row("time to first token", question, "a new gaze, its tail step, and the text")
    token = _median(stages.token, rounds, stages.rewind)
    weights = sum(
        spec.size for name, spec in manifest.files.items() if name.startswith(f"{DECODER}.onnx")
    )
    rate = weights / (token / 1e3)
    told = f"{1e3 / token:.1f} tokens per s, {rate / 1e9:.0f} GB/s{_of(rate, peaks.bandwidth)}"
    yield Row("decode, a token", token, told)


def _median(
    stage: Callable[[], None], rounds: int, after: Callable[[], None] = lambda: None
) -> float:
    spent = []
    for _ in range(rounds + 1):
        began = time.perf_counter_ns()
        stage()
        spent.append(time.perf_counter_ns() - began)
        after()
    return float(np.median(spent[1:])) / 1e6


def _vjepa_operations(manifest: Manifest) -> float:
    """Of a ViT of 12 blocks: 24 width^2 per token and block, and attention over all tokens."""
    shape = manifest.geometry.vjepa
    tokens = shape.tubelets * shape.side**2
    blocks = BLOCKS if shape.width >= BLOCKS * HEAD_DIM else 2
    return blocks * tokens * (24 * shape.width**2 + 4 * tokens * shape.width)


def _of(reached: float, peak: float | None) -> str:
    return "" if peak is None else f", {reached / peak:.0%} of peak"


def heading(choice: EngineChoice, machine: Machine, manifest: Manifest) -> Iterator[str]:
    """Where, with which versions, and which bundle."""
    import onnxruntime

    gpu = "no GPU" if machine.gpu is None else machine.gpu.name
    where = f"{gpu}, {platform.machine()}, onnxruntime {onnxruntime.__version__}"
    yield f"{manifest.name} ({manifest.quantization.kind}, for {manifest.target}) on {where}"
    yield f"engine {choice.line}"
    yield ""
    yield "| stage | median, ms | |"
    yield "| --- | ---: | --- |"


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--engine", choices=ENGINES, default="auto")
    parser.add_argument("--rounds", type=numbers.whole(1), default=20, metavar="N")
    parser.add_argument(
        "--bandwidth", type=numbers.number(0), metavar="GB/S", help="of the device's memory"
    )
    parser.add_argument(
        "--peak", type=numbers.number(0), metavar="TFLOPS", help="dense, in 16 bits"
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None, machine: Machine | None = None) -> int:
    """Measure; returns the exit status."""
    options = parse_arguments(arguments)
    try:
        there = machine or Machine.here()
        bundle = Bundle.open(options.bundle)
        choice = choose_engine(options.engine, bundle, there)
        peaks = Peaks(
            options.bandwidth and options.bandwidth * 1e9, options.peak and options.peak * 1e12
        )
        for line in heading(choice, there, bundle.manifest):
            print(line)
        stages = Stages(Models(bundle, choice.load))
        for row in measured(stages, bundle.manifest, peaks, options.rounds):
            print(row.line, flush=True)
    except (RuntimeFault, OSError) as error:
        complain(error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
