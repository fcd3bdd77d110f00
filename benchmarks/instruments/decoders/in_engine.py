"""The decoder as it is exported, in ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.instruments.decoders.workload import (
    THREADS,
    DrawnWeights,
    Workload,
    decoder_shape,
    injected_layers,
    seconds,
)
from export.checkpoints.qwen_config import DecoderGeometry
from export.graphs.decoder import DecoderEmitter
from export.graphs.graph_writer import GraphWriter, tensor_info
from export.graphs.precision.quantization import linears
from runtime.bundle import names
from runtime.bundle.manifest import Accumulation, QuantizationKind
from runtime.engines.engine import OnnxEngine
from runtime.inputs.positions import rotary_rows, text_positions


class EngineDecoder:
    """See `Decoder`. Its keys and values are in buffers, as in a live run."""

    def __init__(
        self,
        name: str,
        path: Path,
        geometry: DecoderGeometry,
        workload: Workload,
        threads: int = THREADS,
        injected: bool = True,
    ) -> None:
        """`injected`: whether the graph at `path` takes residuals."""
        self.name = name
        self.stored = path.with_name(f"{path.name}.data").stat().st_size
        self._engine = OnnxEngine(path, threads)
        self._work, self._injected = workload, injected
        capacity = len(workload.context) + len(workload.answer)
        shape = decoder_shape(geometry)
        self._cos, self._sin = rotary_rows(shape, text_positions(0, capacity))
        self._length = 0
        self._past, self._present = {}, {}
        for layer in range(geometry.layers):
            for past, present in (
                (names.past_key(layer), names.present_key(layer)),
                (names.past_value(layer), names.present_value(layer)),
            ):
                size = (1, geometry.kv_heads, capacity, geometry.head_dim)
                self._past[past] = self._engine.buffer(size, np.float32)
                self._present[present] = self._past[past]

    def clear(self) -> None:
        """See `Decoder`."""
        self._length = 0

    def append(self, step: int) -> float:
        """See `Decoder`."""
        given = self._work.embedded(self._work.tokens_of(step))
        residuals = self._work.residuals[:, : len(given)]
        spent = seconds(lambda: self._run(given, residuals, []))
        self._length += len(given)
        return spent

    def decode(self) -> float:
        """See `Decoder`."""
        given = self._work.embedded(self._work.answer[:1])
        return seconds(lambda: self._run(given, self._no_residual, [0]))

    def follow(self) -> NDArray[np.float32]:
        """See `Decoder`."""
        given = self._work.embedded(self._work.answer)
        return self._run(given, self._no_residual, [*range(len(given))])

    @property
    def _no_residual(self) -> NDArray[np.float32]:
        """What text is given, whatever its length."""
        return np.zeros_like(self._work.residuals[:, :1])

    def _run(
        self, embeddings: NDArray[np.float32], residuals: NDArray[np.float32], rows: list[int]
    ) -> NDArray[np.float32]:
        total = self._length + len(embeddings)
        inputs = {
            names.EMBEDDINGS: embeddings[None],
            names.ROTARY_COS: self._cos,
            names.ROTARY_SIN: self._sin,
            names.ROWS: np.array(rows, np.int64),
            names.LAST_POSITION: np.array([total - 1], np.int32),
            names.TOTAL_LENGTH: np.array(total, np.int32),
            **({names.RESIDUALS: residuals} if self._injected else {}),
            **self._past,
        }
        return self._engine.run(inputs, into=self._present)[names.LOGITS]


class MatrixProduct:
    """A float32 product of the shape that takes most of a prefill, in ONNX Runtime."""

    def __init__(
        self, folder: Path, geometry: DecoderGeometry, rows: int, threads: int = THREADS
    ) -> None:
        wide, narrow = geometry.intermediate, geometry.width
        rng = np.random.default_rng(0)
        self.left = rng.normal(size=(rows, narrow)).astype(np.float32)
        self.right = rng.normal(size=(narrow, wide)).astype(np.float32)
        with GraphWriter(folder, "product") as graph:
            weight = graph.weight("right", self.right)
            graph.node("MatMul", ["left", weight], ["product"])
            path = graph.save(
                [tensor_info("left", np.float32, ["rows", narrow])],
                [tensor_info("product", np.float32, ["rows", wide])],
            )
        self._engine = OnnxEngine(path, threads)
        self.operations = 2 * rows * narrow * wide

    def compute(self) -> None:
        """Once."""
        self._engine.run({"left": self.left})


def emit_decoder(
    folder: Path,
    geometry: DecoderGeometry,
    kind: QuantizationKind,
    accumulation: Accumulation,
    injected: bool = True,
) -> Path:
    """Emit the decoder of `DrawnWeights` into a folder of its own; returns the graph's path.

    `injected`: with residuals as inputs; else the plain decoder of the same weights.
    """
    folder.mkdir(parents=True, exist_ok=True)
    layers = injected_layers(geometry) if injected else ()
    emitter = DecoderEmitter(DrawnWeights(geometry), geometry, layers, linears(kind, accumulation))
    return emitter.emit(folder)
