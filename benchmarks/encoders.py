"""What do encoders in 8 bits save? `python -m benchmarks encoders --bundle DIR`.

V-JEPA and the vision tower of a bundle on the CPU, as they are in float32 and brought to 8 bits as
`python -m export --encoders int8` does, by turns in one process, so that whatever else the machine
does falls on both alike; a ratio is the median over rounds. Needs the extra `export`. Measure on an
idle machine.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.instruments.conditions import Conditions, input_hash
from benchmarks.instruments.result import Result, Sheet, Value, add_outputs, publish
from devices import numbers
from devices.parser import Parser, complain
from runtime.bundle.names import VISION, VJEPA
from runtime.bundle.opening import Bundle
from runtime.engines.engine import Engine, OnnxEngine
from runtime.errors import RuntimeFault
from runtime.model.models import Models
from runtime.run.command_line import MINI
from runtime.terminal import SafeConsole

WAYS = ("float32", "int8")
LEAST = 1.5  # times as fast as in float32
WHOLE = "both"
COLUMNS = ("", "float32, ms", "int8, ms", "times as fast", "least", "most", "error, %")
Times = Mapping[str, Mapping[str, Sequence[float]]]  # by encoder and way, seconds
Arrays = Mapping[str, Mapping[str, NDArray[np.float32]]]


class _Unused:
    """Stands for a graph that is not measured."""

    name = "not loaded"


def both_ways(bundle: Bundle, folder: Path, threads: int) -> dict[str, Models]:
    """The bundle's encoders in float32, and in 8 bits in `folder`.

    Raises RuntimeFault for a bundle whose encoders are not float32, or without the extra.
    """
    if bundle.manifest.rounds_encoders:
        raise RuntimeFault(f"{bundle.folder}: its encoders are not float32: give another --bundle")
    try:
        from export.graphs.precision.eight_bits import to_eight_bits
    except ImportError as error:
        raise RuntimeFault(f"extra 'export': {error.name} is not installed") from error
    for name in (VJEPA, VISION):
        path = bundle.graph_path(name)
        for file in (path, path.with_name(f"{path.name}.data")):
            shutil.copy(file, folder)
        to_eight_bits(folder / path.name)

    def loader(place: Path) -> Callable[[Path], Engine]:
        def load(path: Path) -> Engine:
            here = place / path.name
            return OnnxEngine(here, threads) if path.stem in (VJEPA, VISION) else _Unused()

        return load

    places = dict(zip(WAYS, (bundle.folder, folder), strict=True))
    return {way: Models(bundle, loader(place)) for way, place in places.items()}


def measured(models: Mapping[str, Models], rounds: int) -> tuple[Times, Arrays]:
    """Seconds of `rounds` after one that is not counted, and what was computed in the last."""
    manifest = models[WAYS[0]].bundle.manifest
    side, settings = manifest.geometry.vision.token_pixels, manifest.settings
    size = 2, settings.live_height * side, settings.live_width * side, 3
    frames = np.random.default_rng(0).integers(0, 256, size, np.uint8)
    times = {each: {way: [] for way in WAYS} for each in (VJEPA, VISION)}
    outputs: dict[str, dict[str, NDArray[np.float32]]] = {VJEPA: {}, VISION: {}}
    for number in range(rounds + 1):
        for way, each in models.items():
            for name, run in (
                (VJEPA, lambda m=each: m.features(frames, 1)),
                (VISION, lambda m=each: m.visual(frames)),
            ):
                began = time.perf_counter()
                outputs[name][way] = run()
                if number:
                    times[name][way].append(time.perf_counter() - began)
    return times, outputs


def speedups(wide: Sequence[float], narrow: Sequence[float]) -> list[float]:
    """How many times as fast, round by round."""
    return [one / other for one, other in zip(wide, narrow, strict=True)]


def sheets(times: Times, outputs: Arrays, title: str) -> tuple[Sheet, Sheet]:
    """Each encoder and both together; and what is asked of both."""
    whole = {
        way: [sum(each) for each in zip(*(times[name][way] for name in times), strict=True)]
        for way in WAYS
    }
    rows: list[tuple[Value, ...]] = []
    for name, spent in {**times, WHOLE: whole}.items():
        ratios = speedups(*(spent[way] for way in WAYS))
        medians = (1e3 * statistics.median(spent[way]) for way in WAYS)
        error = None
        if name in outputs:
            exact, found = (np.asarray(outputs[name][way]) for way in WAYS)
            error = 100 * float(np.sqrt(np.mean((found - exact) ** 2) / np.mean(exact**2)))
        rows.append((name, *medians, statistics.median(ratios), min(ratios), max(ratios), error))
    reached = statistics.median(speedups(*(whole[way] for way in WAYS)))
    asked = (f"{WHOLE}, times as fast", reached, LEAST, "met" if reached >= LEAST else "NOT met")
    return Sheet(title, COLUMNS, tuple(rows)), Sheet(
        "asked for", ("", "figure", "at least", ""), (asked,)
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; returns the exit status."""
    options = parse_arguments(arguments)
    console = SafeConsole()
    try:
        bundle = Bundle.open(options.bundle)
        with tempfile.TemporaryDirectory() as folder:
            times, outputs = measured(
                both_ways(bundle, Path(folder), options.threads), options.rounds
            )
        title = f"{bundle.manifest.name}, threads: {options.threads or 'all cores'}"
        told = f"{options.rounds} paired rounds after one that is not counted"
        result = Result(
            "encoders",
            Conditions.here(told, input_hash(0, options.threads), bundle),
            sheets(times, outputs, title),
            details={"seconds": times},
        )
        return publish(result, options, console)
    except RuntimeFault as error:
        complain(error)
    except OSError as error:
        complain(f"{error.filename or 'the result'}: {error.strerror or error}")
    return 1


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(prog="python -m benchmarks encoders", description=__doc__)
    parser.add_argument("--bundle", type=Path, default=MINI, metavar="DIR")
    parser.add_argument("--rounds", type=numbers.whole(1), default=5, metavar="N")
    parser.add_argument(
        "--threads",
        type=numbers.whole(0),
        default=0,
        metavar="N",
        help="per operator; 0: all cores",
    )
    add_outputs(parser)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
