"""OpenVINO on the same weights: a Hugging Face folder, exported by Optimum, compressed by NNCF.

So its keys and values are the model's state and its attention the fused one. It takes tokens by
their numbers. Its graph makes logits of every token; as OpenVINO's own pipeline does, the last one
is taken before the head.
"""

from __future__ import annotations

from pathlib import Path

import nncf
import numpy as np
import openvino
from numpy.typing import NDArray
from openvino import opset13 as operators
from optimum.exporters.openvino import main_export

from benchmarks.decoder.peers.catalog import Peer
from benchmarks.decoder.peers.qwen2 import write_qwen2
from benchmarks.instruments.decoders.workload import Workload, seconds
from export.random.shapes import SHAPES

BLOCK = 32  # weights with a scale of their own, as ours
XML = "openvino_model.xml"
MODES = {
    "int4": {"mode": nncf.CompressWeightsMode.INT4_ASYM, "group_size": BLOCK, "ratio": 1.0},
    "int8": {"mode": nncf.CompressWeightsMode.INT8_ASYM},
}


class OpenVinoDecoder:
    """See `Decoder`."""

    def __init__(self, name: str, path: Path, workload: Workload, threads: int) -> None:
        self.name = name
        self.stored = path.with_suffix(".bin").stat().st_size
        self._work, self._length = workload, 0
        core = openvino.Core()
        model = core.read_model(path)
        _take_last(model)
        settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
        self._request = core.compile_model(model, "CPU", settings).create_infer_request()

    def clear(self) -> None:
        """See `Decoder`."""
        self._request.reset_state()
        self._length = 0

    def append(self, step: int) -> float:
        """See `Decoder`."""
        tokens = self._work.tokens_of(step)
        spent = seconds(lambda: self._run(tokens))
        self._length += len(tokens)
        return spent

    def decode(self) -> float:
        """See `Decoder`."""
        spent = seconds(lambda: self._run(self._work.answer[:1]))
        self._rewind()
        return spent

    def follow(self) -> NDArray[np.float32]:
        """See `Decoder`."""
        length, rows = self._length, []
        for token in self._work.answer.reshape(-1, 1):
            rows.append(self._run(token))
            self._length += 1
        self._length = length
        self._rewind()
        return np.stack(rows)

    def _rewind(self) -> None:
        """Forget what came after the context, in every state: (1, heads, tokens, width)."""
        for state in self._request.query_state():
            kept = np.ascontiguousarray(state.state.data[:, :, : self._length])
            state.state = openvino.Tensor(kept)

    def _run(self, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        """The logits (vocabulary,) of the last one."""
        total = self._length + len(tokens)
        inputs = {
            "input_ids": tokens[None],
            "attention_mask": np.ones((1, total), np.int64),
            "position_ids": np.arange(self._length, total)[None],
            "beam_idx": np.zeros(1, np.int32),
        }
        self._request.infer(inputs)
        return self._request.get_tensor("logits").data.reshape(-1).copy()


def open_decoder(
    peer: Peer, shape: str, workload: Workload, folder: Path, threads: int
) -> OpenVinoDecoder:
    """A decoder of the random weights of a shape; its files are kept in `folder`."""
    source, whole = folder / f"{shape}-qwen2", folder / f"{shape}-openvino"
    path = folder / f"{shape}-openvino-{peer.variant}" / XML
    if not path.exists():
        write_qwen2(source, SHAPES[shape].decoder)
        if not (whole / XML).exists():
            main_export(
                str(source), whole, task="text-generation-with-past", convert_tokenizer=False
            )
        model = nncf.compress_weights(
            openvino.Core().read_model(whole / XML), **MODES[peer.variant]
        )
        path.parent.mkdir(exist_ok=True)
        openvino.save_model(model, path)
    return OpenVinoDecoder(peer.name, path, workload, threads)


def _take_last(model: openvino.Model) -> None:
    """Let the head have the last token alone: (1, tokens, D) -> (1, 1, D) before its product."""
    product = model.output("logits").get_node().input_value(0).get_node()
    while product.get_type_name() != "MatMul":
        product = product.input_value(0).get_node()
    hidden = product.input(0)
    last = operators.gather(
        hidden.get_source_output(),
        operators.constant(np.array([-1], np.int64)),
        operators.constant(np.array(1, np.int64)),
    )
    hidden.replace_source_output(last.output(0))
    model.validate_nodes_and_infer_types()
