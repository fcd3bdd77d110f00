"""`python -m export.tensorrt BUNDLE`: TensorRT engines of vjepa, vision and the resampler.

One builder for `tensorrt` and `tensorrt_rtx`, which share most of their API. TensorRT-RTX builds
for given compute capabilities without a GPU; TensorRT builds on the GPU it will run on.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

from devices import numbers
from devices.parser import Parser, complain
from export.graphs.likeness import random_inputs, relative_difference
from export.graphs.precision.low_precision import write_with_precision
from runtime.bundle.names import GAZE, SCENE, VISION, VJEPA
from runtime.bundle.opening import Bundle
from runtime.engines.engine import OnnxEngine
from runtime.engines.gpu import Gpu, find_gpu
from runtime.engines.shape_profiles import ShapeProfile, shape_profiles
from runtime.engines.store import (
    ANY_GPU,
    EngineKey,
    EngineRecord,
    EngineStore,
    Flavour,
    Precision,
    graph_hash,
    shapes_hash,
)
from runtime.engines.tensorrt_engine import FLAVOURS, TensorRTEngine, tensorrt_module
from runtime.errors import EngineError, RuntimeFault

GRAPHS = (VJEPA, VISION, SCENE, GAZE)
LARGEST_DIFFERENCE = 0.05  # of a 16-bit engine, relative to the root mean square of the output
GIBIBYTE = 1 << 30
# TensorRT-RTX does not fuse attention in float32, where V-JEPA's scores at 384 px need as much; in
# 16 bits it does, and 0.2 are enough.
WORKSPACE = 2.0  # GiB
Measure = Callable[[bytes, str], float | None]


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be built. `precisions`: candidates, the best measured one is kept.

    `workspace`: the bytes that a layer may take beside its inputs and outputs.
    """

    flavour: Flavour
    capabilities: tuple[str, ...]
    precisions: tuple[Precision, ...]
    gpu: Gpu | None
    workspace: int = int(WORKSPACE * GIBIBYTE)


class EngineBuilder:
    """Builds the engines of one bundle. Opening it raises EngineError without TensorRT."""

    def __init__(self, bundle: Bundle, order: Order, measure: Measure | None = None) -> None:
        """`measure`: the difference of an engine from the CPU; None where it can't be run."""
        library = tensorrt_module(order.flavour)
        if library is None:
            extra = order.flavour.replace("_", "-")
            raise EngineError(f"{order.flavour} is not installed: install the extra '{extra}'")
        self._library = library
        self._bundle = bundle
        self._order = order
        self._measure = measure or self._measured
        self._logger = library.Logger(library.Logger.ERROR)
        self.store = EngineStore(bundle.folder, bundle.manifest)

    def build(self) -> Iterator[EngineRecord]:
        """Every graph, for both profiles; what was built before is used again."""
        for graph in GRAPHS:
            yield self._built(graph) or self._best(graph)

    def _precisions(self, graph: str) -> Sequence[Precision]:
        """The candidates for a graph: Qwen2.5-VL's vision tower leaves the range of fp16."""
        given = self._order.precisions
        return [kind for kind in given if kind != "fp16"] or given if graph == VISION else given

    def _built(self, graph: str) -> EngineRecord | None:
        keys = (self._key(graph, precision) for precision in self._precisions(graph))
        return next((record for key in keys if (record := self.store.built(key))), None)

    def _best(self, graph: str) -> EngineRecord:
        """The candidate nearest to float32; the first where nothing can be measured."""
        best: tuple[float, Precision, bytes] | None = None
        for precision in self._precisions(graph):
            engine = self._serialized(graph, precision)
            difference = self._measure(engine, graph)
            if difference is None:
                return self.store.save(self._key(graph, precision), engine, None)
            if best is None or difference < best[0]:
                best = difference, precision, engine
        if best is None or not best[0] <= LARGEST_DIFFERENCE:
            reached = "nothing" if best is None else f"{best[0]:.2e}"
            raise EngineError(
                f"{graph} differs by {reached} in {', '.join(self._precisions(graph))}, allowed is "
                f"{LARGEST_DIFFERENCE:g}: build it with --precision float32"
            )
        difference, precision, engine = best
        return self.store.save(self._key(graph, precision), engine, difference)

    def _key(self, graph: str, precision: Precision) -> EngineKey:
        order = self._order
        rtx = order.flavour == "tensorrt_rtx"
        gpu = ANY_GPU if rtx or order.gpu is None else order.gpu.name
        hashed = graph_hash(self._bundle.manifest, graph)
        version = self._library.__version__
        shapes = shapes_hash(shape_profiles(self._bundle.manifest, graph))
        return EngineKey(
            graph,
            order.flavour,
            version,
            gpu,
            order.capabilities,
            precision,
            shapes,
            hashed,
        )

    def _serialized(self, graph: str, precision: Precision) -> bytes:
        """Parse and build. Raises EngineError with TensorRT's first complaint."""
        library = self._library
        builder = library.Builder(self._logger)
        typed = 1 << int(library.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
        network = builder.create_network(typed)
        parser = library.OnnxParser(network, self._logger)
        with tempfile.TemporaryDirectory() as folder:
            path = self._bundle.graph_path(graph)
            path = write_with_precision(path, precision, Path(folder))
            if not parser.parse_from_file(str(path)):
                complaint = str(parser.get_error(0).desc()).splitlines()[0]
                raise EngineError(f"{library.__name__} can't read {graph}: {complaint}")
            config = self._config(builder, shape_profiles(self._bundle.manifest, graph))
            engine = builder.build_serialized_network(network, config)
        if engine is None:
            raise EngineError(
                f"{library.__name__} can't build {graph} ({precision}) for "
                f"{', '.join(self._order.capabilities)} in a --workspace of "
                f"{self._order.workspace / GIBIBYTE:.2f} GiB"
            )
        self._keep_timings(config)
        return bytes(engine)

    def _config(self, builder: Any, profiles: Sequence[ShapeProfile]) -> Any:  # noqa: ANN401
        """Shapes, compute capabilities (TensorRT-RTX) and timings of earlier builds (TensorRT)."""
        config = builder.create_builder_config()
        for profile in profiles:
            shapes = builder.create_optimization_profile()
            for name, span in profile.ranges.items():
                shapes.set_shape(name, span.least, span.usual, span.most)
            config.add_optimization_profile(shapes)
        pool = self._library.MemoryPoolType.WORKSPACE
        config.set_memory_pool_limit(pool, self._order.workspace)
        if self._order.flavour == "tensorrt_rtx":
            config.num_compute_capabilities = len(self._order.capabilities)
            for index, capability in enumerate(self._order.capabilities):
                config.set_compute_capability(_capability(self._library, capability), index)
        else:
            timings = self._timings.read_bytes() if self._timings.is_file() else b""
            config.set_timing_cache(config.create_timing_cache(timings), False)
        return config

    def _keep_timings(self, config: Any) -> None:  # noqa: ANN401
        if self._order.flavour == "tensorrt":
            self.store.folder.mkdir(exist_ok=True)
            self._timings.write_bytes(bytes(config.get_timing_cache().serialize()))

    @property
    def _timings(self) -> Path:
        return self.store.folder / f"timings.{self._library.__version__}.cache"

    def _measured(self, engine: bytes, graph: str) -> float | None:
        """The difference from the CPU at the live grid, where this GPU can run the engine."""
        gpu = self._order.gpu
        if gpu is None or gpu.capability not in self._order.capabilities:
            return None
        profiles = shape_profiles(self._bundle.manifest, graph)
        shapes = {name: span.usual for name, span in profiles[0].ranges.items()}
        inputs = random_inputs(self._bundle.manifest, graph, shapes)
        reference = OnnxEngine(self._bundle.graph_path(graph)).run(inputs)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "candidate.engine"
            path.write_bytes(engine)
            found = TensorRTEngine(self._library, path, profiles).run(inputs)
        return max(relative_difference(found[name], reference[name]) for name in reference)


def _capability(library: ModuleType, capability: str) -> Any:  # noqa: ANN401
    name = "SM" + capability.replace(".", "")
    known = [n for n in dir(library.ComputeCapability) if n.startswith("SM")]
    if name not in known:
        numbers = ", ".join(n.removeprefix("SM") for n in sorted(known, key=lambda n: int(n[2:])))
        raise EngineError(f"TensorRT-RTX does not build for SM {name[2:]}: it knows {numbers}")
    return getattr(library.ComputeCapability, name)


def make_order(options: argparse.Namespace, gpu: Gpu | None) -> Order:
    """What the command line and the machine come to. Raises EngineError for what can't be."""
    flavour = options.flavour or next((f for f in FLAVOURS if tensorrt_module(f)), None)
    if flavour is None:
        raise EngineError(
            "neither tensorrt nor tensorrt_rtx is installed: install the extra 'tensorrt-rtx'"
        )
    if options.sm is None and gpu is None:
        raise EngineError("no NVIDIA GPU here: say what to build for, such as --sm 86,89,120")
    if flavour == "tensorrt" and gpu is None:
        raise EngineError("tensorrt builds on the GPU it will run on, and there is none here")
    given = options.sm or gpu.capability
    capabilities = tuple(_with_point(number) for number in given.split(","))
    if flavour == "tensorrt" and capabilities != (gpu.capability,):
        raise EngineError(f"tensorrt builds for this GPU alone ({gpu.capability}): leave out --sm")
    precisions = ("fp16", "bf16") if options.precision == "auto" else (options.precision,)
    workspace = int(options.workspace * GIBIBYTE)
    return Order(flavour, capabilities, precisions, gpu, workspace)


def _with_point(number: str) -> str:
    digits = number.strip().replace(".", "")
    if not digits.isdigit() or len(digits) < 2:
        raise EngineError(f"--sm {number}: give compute capabilities such as 86,89,120")
    return f"{digits[:-1]}.{digits[-1]}"


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(
        prog="python -m export.tensorrt",
        description="Build TensorRT engines of a bundle's encoders; they are kept beside it.",
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--sm", metavar="LIST", help="compute capabilities, such as 86,89,120")
    parser.add_argument(
        "--precision",
        choices=("auto", *get_args(Precision)),
        default="auto",
        help="of matrix products; auto: fp16 or bf16, whichever is measured nearer to float32 "
        "(fp16 where no GPU can measure it)",
    )
    parser.add_argument("--flavour", choices=FLAVOURS, help="default: the one installed")
    parser.add_argument(
        "--workspace",
        type=numbers.number(0, above=True),
        default=WORKSPACE,
        metavar="GIB",
        help=f"that a layer may take beside its inputs and outputs ({WORKSPACE})",
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Build; returns the exit status."""
    options = parse_arguments(arguments)
    try:
        order = make_order(options, find_gpu())
        builder = EngineBuilder(Bundle.open(options.bundle), order)
        for record in builder.build():
            key = record.key
            print(
                f"{key.graph}: {key.precision}, {record.file.size / 1e6:.1f} MB, "
                f"for {', '.join(key.capabilities)}, parity {_told(record)}"
            )
    except RuntimeFault as error:
        complain(error)
        return 1
    return 0


def _told(record: EngineRecord) -> str:
    return "unmeasured" if record.difference is None else f"{record.difference:.1e}"


if __name__ == "__main__":
    sys.exit(main())
