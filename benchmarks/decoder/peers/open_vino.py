"""OpenVINO on the same weights: our graph in float32 without residuals, compressed by NNCF.

Keys and values are the model's state; a context is rewound by saying how long it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import nncf
import numpy as np
import openvino
from numpy.typing import NDArray
from openvino import opset13 as operators
from openvino._offline_transformations import apply_make_stateful_transformation

from benchmarks.decoder.peers.catalog import Peer
from benchmarks.instruments.decoders.in_engine import emit_decoder
from benchmarks.instruments.decoders.workload import Workload, decoder_shape, seconds
from export.checkpoints.qwen_config import DecoderGeometry
from export.random.shapes import SHAPES
from runtime.bundle import names
from runtime.inputs.positions import rotary_rows, text_positions

BLOCK = 32  # weights with a scale of their own, as ours
MODES = {
    "int4": {"mode": nncf.CompressWeightsMode.INT4_ASYM, "group_size": BLOCK, "ratio": 1.0},
    "int8": {"mode": nncf.CompressWeightsMode.INT8_ASYM},
}


class OpenVinoDecoder:
    """See `Decoder`."""

    def __init__(
        self,
        name: str,
        model: openvino.Model,
        geometry: DecoderGeometry,
        workload: Workload,
        threads: int,
    ) -> None:
        self.name = name
        constants = (each for each in model.get_ops() if each.get_type_name() == "Constant")
        self.stored = sum(each.get_byte_size() for each in constants)
        self._work, self._length = workload, 0
        capacity = len(workload.context) + len(workload.answer)
        self._cos, self._sin = rotary_rows(decoder_shape(geometry), text_positions(0, capacity))
        settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
        compiled = openvino.Core().compile_model(model, "CPU", settings)
        self._request = compiled.create_infer_request()

    def clear(self) -> None:
        """See `Decoder`."""
        self._request.reset_state()
        self._length = 0

    def append(self, step: int) -> float:
        """See `Decoder`."""
        given = self._work.embedded(self._work.tokens_of(step))
        spent = seconds(lambda: self._run(given, []))
        self._length += len(given)
        return spent

    def decode(self) -> float:
        """See `Decoder`."""
        given = self._work.embedded(self._work.answer[:1])
        return seconds(lambda: self._run(given, [0]))

    def follow(self) -> NDArray[np.float32]:
        """See `Decoder`."""
        given = self._work.embedded(self._work.answer)
        return self._run(given, [*range(len(given))])

    def _run(self, embeddings: NDArray[np.float32], rows: list[int]) -> NDArray[np.float32]:
        total = self._length + len(embeddings)
        inputs = {
            names.EMBEDDINGS: embeddings[None],
            names.ROTARY_COS: self._cos,
            names.ROTARY_SIN: self._sin,
            names.ROWS: np.array(rows, np.int64),
            names.LAST_POSITION: np.array([total - 1], np.int32),
            names.TOTAL_LENGTH: np.array(total, np.int32),
        }
        self._request.infer(inputs)
        return self._request.get_tensor(names.LOGITS).data.copy()


def open_decoder(
    peer: Peer, shape: str, workload: Workload, folder: Path, threads: int
) -> OpenVinoDecoder:
    """A decoder of the random weights of a shape; the graph is kept in `folder`."""
    geometry = SHAPES[shape].decoder
    path = folder / f"{shape}-float32" / f"{names.DECODER}.onnx"
    if not path.exists():
        emit_decoder(path.parent, geometry, "float32", "float", injected=False)
    model = openvino.Core().read_model(path)
    with _typed(model):
        model = nncf.compress_weights(model, **MODES[peer.variant])
    states = {}
    for layer in range(geometry.layers):
        states[names.past_key(layer)] = names.present_key(layer)
        states[names.past_value(layer)] = names.present_value(layer)
    apply_make_stateful_transformation(model, states)
    return OpenVinoDecoder(peer.name, model, geometry, workload, threads)


@contextmanager
def _typed(model: openvino.Model) -> Iterator[None]:
    """Inputs that are left out stand there as constants without a type, which NNCF does not take:
    meanwhile they have one."""
    left_out = []
    for operation in model.get_ops():
        for given in operation.inputs():
            source = given.get_source_output()
            if source.get_element_type().is_dynamic():
                left_out.append((given, source))
                nothing = operators.constant(np.zeros(0, np.float32))
                given.replace_source_output(nothing.output(0))
    yield
    for given, source in left_out:
        given.replace_source_output(source)
