"""Where a bundle's memory goes: `python -m benchmarks memory --bundle DIR`.

All graphs are loaded as the live loop loads them, a step is encoded, a context is filled with it,
and a question is answered; after each the process is weighed. `private` is memory of
the process's own, `mapped` are pages of files, which the kernel can drop and read again. Linux.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.instruments.conditions import Conditions, input_hash
from benchmarks.instruments.result import Result, Sheet, add_outputs, publish
from devices import numbers
from devices.parser import Parser, complain
from runtime.answers.questions import Asker, Question
from runtime.bundle import names
from runtime.bundle.opening import Bundle
from runtime.engines.engine import Engine, OnnxEngine
from runtime.errors import RuntimeFault
from runtime.model.models import Models
from runtime.run.command_line import MINI
from runtime.stopwatch import Stopwatch
from runtime.terminal import SafeConsole

STATUS_FILE = Path("/proc/self/status")
KIBIBYTE, MEBIBYTE, GIBIBYTE = 1 << 10, 1 << 20, 1 << 30
QUESTION = Question("What am I looking at?", ("a cup", "a knife", "a door", "a book"))


@dataclass(frozen=True, slots=True)
class Resident:
    """Resident memory of this process in bytes: its own, that of mapped files, the peak of both."""

    private: int
    mapped: int
    peak: int

    @property
    def total(self) -> int:
        """All of it now."""
        return self.private + self.mapped

    @classmethod
    def now(cls) -> Resident:
        """Weigh the process. Raises RuntimeFault where the system does not say."""
        try:
            lines = STATUS_FILE.read_text(encoding="ascii").splitlines()
        except OSError as error:
            raise RuntimeFault(
                f"{STATUS_FILE} can't be read: this benchmark needs Linux"
            ) from error
        sizes = dict(line.split(":", 1) for line in lines)
        private, mapped, shared, peak = (
            int(sizes[name].split()[0]) * KIBIBYTE
            for name in ("RssAnon", "RssFile", "RssShmem", "VmHWM")
        )
        return cls(private, mapped + shared, peak)


@dataclass(frozen=True, slots=True)
class Weighing:
    """What the process weighed after `what`; `on_disk` are the bytes of a graph's files."""

    what: str
    on_disk: int | None
    after: Resident


def weigh(bundle: Bundle, tokens: int, threads: int) -> Iterator[Weighing]:
    """Load every graph, fill a context of `tokens`, ask; weigh after each."""
    yield Weighing("program", None, Resident.now())
    loaded: list[Weighing] = []

    def load(path: Path) -> Engine:
        engine = OnnxEngine(path, threads)
        files = (path, path.with_name(f"{path.name}.data"))
        size = sum(file.stat().st_size for file in files if file.is_file())
        loaded.append(Weighing(path.stem, size, Resident.now()))
        return engine

    models = Models(bundle, load)
    yield from loaded
    asker = Asker(bundle)
    settings = bundle.manifest.settings
    grid = settings.live_height, settings.live_width
    step, text = grid[0] * grid[1], len(asker.tokens(QUESTION))
    least = len(bundle.manifest.prompt.before_video) + step + text
    if tokens < least:
        raise RuntimeFault(f"--tokens {tokens}: one step and a question take {least}")
    context = models.context(grid, tokens)
    rows = (bundle.folder / names.EMBEDDINGS_FILE).stat().st_size
    yield Weighing(f"context of {tokens} tokens, embeddings", rows, Resident.now())
    visual, residuals = _encoded_step(models, grid)
    yield Weighing("a step encoded", None, Resident.now())
    while context.room >= step + text:
        context.append_step(visual, residuals)
    yield Weighing(f"{context.steps} steps prefilled", None, Resident.now())
    asker.ask(QUESTION, context, Stopwatch())
    yield Weighing("a question answered", None, Resident.now())


def _encoded_step(
    models: Models, grid: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Visual embeddings and residuals of random frames, nothing looked at."""
    geometry = models.bundle.manifest.geometry
    side = geometry.vision.token_pixels
    shape = (2, grid[0] * side, grid[1] * side, 3)
    frames = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    scene = models.scene(models.features(frames, 1), 0, 1, grid)
    encoding = np.zeros(geometry.resampler.width, np.float32)
    return models.visual(frames), models.residuals(scene, encoding)


def sheet(bundle: Bundle, weighings: Sequence[Weighing]) -> Sheet:
    """One row per weighing: what it added, and what the process weighed then."""
    rows = []
    before = Resident(0, 0, 0)
    for weighing in weighings:
        after = weighing.after
        sizes = (
            weighing.on_disk,
            after.private - before.private,
            after.mapped - before.mapped,
            after.total,
            after.peak,
        )
        mebibytes = (None if size is None else round(size / MEBIBYTE) for size in sizes)
        rows.append((weighing.what, *mebibytes))
        before = after
    decoder = bundle.manifest.quantization.kind
    columns = ("after", "on disk", "private, added", "mapped, added", "resident", "peak")
    return Sheet(f"{bundle.manifest.name} (decoder {decoder}), MiB", columns, tuple(rows))


def arguments(command_line: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(prog="python -m benchmarks memory")
    parser.add_argument("--bundle", type=Path, default=MINI, metavar="DIR")
    parser.add_argument(
        "--tokens", type=numbers.whole(1), default=2048, help="in the context (default 2048)"
    )
    parser.add_argument(
        "--threads", type=numbers.whole(0), default=0, help="per operator (default: all cores)"
    )
    add_outputs(parser)
    return parser.parse_args(command_line)


def main(command_line: Sequence[str] | None = None) -> int:
    """Weigh; returns the exit status: 1 after an error, which is one line."""
    options = arguments(command_line)
    console = SafeConsole()
    try:
        bundle = Bundle.open(options.bundle)
        weighings = list(weigh(bundle, options.tokens, options.threads))
        told = input_hash(options.tokens, options.threads)
        result = Result(
            "memory",
            Conditions.here("once", told, bundle),
            (sheet(bundle, weighings),),
            details={"weighings": [asdict(weighing) for weighing in weighings]},
        )
        status = publish(result, options, console)
    except (RuntimeFault, OSError) as error:
        complain(error)
        return 1
    console.print(f"peak resident memory: {weighings[-1].after.peak / GIBIBYTE:.2f} GiB")
    return status


if __name__ == "__main__":
    sys.exit(main())
