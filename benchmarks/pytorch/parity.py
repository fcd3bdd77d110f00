"""How near is what is fast? `python -m benchmarks parity`: a fidelity row for each row of `stages`.

A bundle's graphs beside the checkpoints that it was made of, in PyTorch with hooks, in float32, on
the same random frames and gaze: each stage by itself, on the same input, and then the logits after
everything that comes before them. The rows of `decode`, `injection` and `reference` have theirs
beside them. Without --bundle it exports random weights of --shape. Needs the extra `export`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.instruments import pipeline as names
from benchmarks.instruments.bundles.random_bundle import Origin, add_origin, opened_origin
from benchmarks.instruments.conditions import Conditions, input_hash
from benchmarks.instruments.decoders.fidelity import Fidelity
from benchmarks.instruments.result import Result, Sheet, Value, add_outputs, publish
from devices import numbers
from devices.parser import Parser, complain
from export.checkpoints.common import CheckpointError
from export.parity.torch_models import TorchModels
from runtime.bundle.opening import Bundle
from runtime.engines.choice import ENGINES, Machine, choose_engine
from runtime.errors import RuntimeFault
from runtime.model.models import Models
from runtime.terminal import SafeConsole

STEPS = 3  # in a context
NEXT = 4  # tokens after the first
TOKENS = (names.FIRST, names.NEXT)  # rows of logits
COLUMNS = ("stage", "n", "error, %", "largest error, %", "same arg-max, %")
Arrays = tuple[NDArray[np.float32], NDArray[np.float32]]
Say = Callable[[str], None]


@dataclass(slots=True)
class Compared:
    """What ours and PyTorch gave, by stage: rows of numbers for every case."""

    pairs: dict[str, list[Arrays]] = field(default_factory=dict)

    def add(self, stage: str, ours: object, theirs: object) -> None:
        """Both computed this; tensors or arrays of any shape, rows being the last axis."""
        whole = (np.asarray(each, np.float32) for each in (ours, theirs))
        one, other = (each.reshape(-1, each.shape[-1]) for each in whole)
        self.pairs.setdefault(stage, []).append((one, other))

    def sheet(self, title: str) -> Sheet:
        """A row for each stage: root mean square of the error as a share of the values', the
        largest over cases, and how often the largest logit is the same."""
        rows: list[tuple[Value, ...]] = []
        for stage, pairs in self.pairs.items():
            ones, others = (np.concatenate(each) for each in zip(*pairs, strict=True))
            found = Fidelity.of(ones, others)
            largest = max(Fidelity.of(*pair).error for pair in pairs)
            same = 100 * found.agreement if stage in TOKENS else None
            rows.append((stage, len(pairs), 100 * found.error, 100 * largest, same))
        return Sheet(title, COLUMNS, tuple(rows))


def compare(ours: Models, theirs: TorchModels, cases: int, say: Say) -> Compared:
    """Every stage of `cases` clips with gaze, each in both."""
    manifest = ours.bundle.manifest
    grid = manifest.settings.live_height, manifest.settings.live_width
    pixels = manifest.geometry.vision.token_pixels
    size = manifest.geometry.vjepa.frames, grid[0] * pixels, grid[1] * pixels, 3
    room = len(manifest.prompt.before_video) + STEPS * grid[0] * grid[1]
    text = np.array([*manifest.prompt.after_video, *manifest.prompt.before_answer], np.int64)
    rng, found = np.random.default_rng(0), Compared()
    for number in range(cases):
        say(f"case {number + 1} of {cases}")
        contexts = [each.context(grid, room + len(text) + NEXT) for each in (ours, theirs)]
        for _ in range(STEPS):
            frames = rng.integers(0, 256, size, np.uint8)
            encoding = rng.uniform(-1, 1, manifest.geometry.resampler.width).astype(np.float32)
            _step(found, contexts, (ours, theirs), frames, encoding, grid)
        following = rng.integers(0, manifest.geometry.decoder.vocabulary, NEXT)
        for stage, tokens in ((names.FIRST, text), *((names.NEXT, each) for each in following)):
            given = np.atleast_1d(tokens)
            found.add(stage, *(context.append_text(given) for context in contexts))
    return found


def _step(
    found: Compared,
    contexts: Sequence[object],
    both: tuple[Models, TorchModels],
    frames: NDArray[np.uint8],
    encoding: NDArray[np.float32],
    grid: tuple[int, int],
) -> None:
    """Encode a step in both, each on its own, and append it."""
    visual = [each.visual(frames[:2]) for each in both]
    features = [each.features(frames, 1) for each in both]
    scenes = [each.scene(f, 0, 1, grid) for each, f in zip(both, features, strict=True)]
    residuals = [each.residuals(s, encoding) for each, s in zip(both, scenes, strict=True)]
    kept = len(np.asarray(residuals[0]))  # PyTorch has those of the dead last layer, too
    found.add(names.VISION, *visual)
    read = np.asarray(features[1])[both[0].tubelets(1)]  # PyTorch has the others, too
    found.add(names.VJEPA, features[0], read)
    found.add(f"{names.SCENE} and {names.GAZE}", residuals[0], np.asarray(residuals[1])[:kept])
    for context, *given in zip(contexts, visual, residuals, strict=True):
        context.append_step(*given)


def exported_sheet(bundle: Bundle) -> Sheet:
    """What the export compared, and how near it was."""
    figures = [each for each in bundle.manifest.parity if not each.must_change and each.bound]
    worst: Mapping[str, float] = {}
    for each in figures:
        worst = {**worst, each.graph: max(worst.get(each.graph, 0), each.difference / each.bound)}
    rows = tuple(worst.items())
    return Sheet("of the bounds of its export, at most", ("", "share"), rows)


def run(options: argparse.Namespace, origin: Origin, machine: Machine, say: Say) -> Result:
    """Compare. Raises RuntimeFault, CheckpointError."""
    bundle = Bundle.open(origin.bundle)
    choice = choose_engine(options.engine, bundle, machine, threads=options.threads)
    torch.set_num_threads(options.threads or torch.get_num_threads())
    say("PyTorch: reading the checkpoints")
    theirs = TorchModels.load(bundle, *origin.files)
    found = compare(Models(bundle, choice.load), theirs, options.cases, say)
    title = f"{bundle.manifest.name} ({bundle.manifest.quantization.kind}) on {choice.line}"
    return Result(
        "parity",
        Conditions.here(
            f"{options.cases} clips of {STEPS} steps",
            input_hash(options.cases, STEPS, NEXT),
            bundle,
        ),
        (found.sheet(f"{title}, beside PyTorch in float32"), exported_sheet(bundle)),
    )


def arguments(command_line: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(prog="python -m benchmarks parity", description=__doc__)
    add_origin(parser)
    parser.add_argument("--engine", choices=ENGINES, default="auto")
    parser.add_argument("--cases", type=numbers.whole(1), default=4, metavar="N")
    parser.add_argument("--threads", type=numbers.whole(0), default=0)
    add_outputs(parser)
    return parser.parse_args(command_line)


def main(command_line: Sequence[str] | None = None, machine: Machine | None = None) -> int:
    """The exit status: 1 after an error, which is one line."""
    options = arguments(command_line)
    console = SafeConsole()
    try:
        with tempfile.TemporaryDirectory() as folder:
            origin = opened_origin(options, Path(folder))
            with console.status("") as status:
                compared = run(options, origin, machine or Machine.here(), status.update)
        return publish(compared, options, console)
    except (RuntimeFault, CheckpointError, OSError) as error:
        complain(error)
        return 1


if __name__ == "__main__":
    sys.exit(main())
