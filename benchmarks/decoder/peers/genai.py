"""onnxruntime-genai on the same weights: a Hugging Face folder, exported by its model builder.

It takes tokens by their numbers, and computes logits of the last token of everything it is given.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime_genai
from numpy.typing import NDArray
from onnx import helper

from benchmarks.decoder.peers.catalog import Peer
from benchmarks.decoder.peers.qwen2 import write_qwen2
from benchmarks.instruments.decoders.workload import Workload, seconds
from export.random.shapes import SHAPES
from runtime.errors import EngineError

BLOCK = 32  # weights with a scale of their own, as ours
ACCURACY = 4  # activations are brought to int8, as its recipes for processors have it
BUILDER = "onnxruntime_genai.models.builder"
OPTIONS = ("--extra_options", f"int4_block_size={BLOCK}", f"int4_accuracy_level={ACCURACY}")
CONFIG = "genai_config.json"


class GenAiDecoder:
    """See `Decoder`."""

    def __init__(self, name: str, folder: Path, workload: Workload, threads: int) -> None:
        self.name = name
        self.stored = multiplied_bytes(folder / "model.onnx")
        self._work, self._length = workload, 0
        _use_threads(folder / CONFIG, threads)
        self._model = onnxruntime_genai.Model(str(folder))
        self._settings = onnxruntime_genai.GeneratorParams(self._model)
        most = len(workload.context) + len(workload.answer)
        self._settings.set_search_options(max_length=most, do_sample=False)
        self.clear()

    def clear(self) -> None:
        """See `Decoder`."""
        self._generator = onnxruntime_genai.Generator(self._model, self._settings)
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
        self._generator.rewind_to(self._length)
        return spent

    def follow(self) -> NDArray[np.float32]:
        """See `Decoder`."""
        logits = np.stack([self._run(token) for token in self._work.answer.reshape(-1, 1)])
        self._generator.rewind_to(self._length)
        return logits

    def _run(self, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        """The logits (vocabulary,) of the last one."""
        self._generator.append_tokens(tokens.astype(np.int32))
        logits = np.asarray(self._generator.get_logits(), np.float32)
        return logits.reshape(-1, logits.shape[-1])[-1]


def open_decoder(
    peer: Peer, shape: str, workload: Workload, folder: Path, threads: int
) -> GenAiDecoder:
    """A decoder of the random weights of a shape; its files are kept in `folder`."""
    source, exported = folder / f"{shape}-qwen2", folder / f"{shape}-genai-{peer.variant}"
    if not (exported / CONFIG).exists():
        write_qwen2(source, SHAPES[shape].decoder)
        command = [sys.executable, "-m", BUILDER, "-i", str(source), "-o", str(exported)]
        command += ["-p", peer.variant, "-e", "cpu", "-c", str(folder / "cache"), *OPTIONS]
        built = subprocess.run(command, capture_output=True, text=True)
        if built.returncode:
            raise EngineError(f"its model builder failed: {built.stderr.strip()[-150:]}")
    return GenAiDecoder(peer.name, exported, workload, threads)


def multiplied_bytes(path: Path) -> int:
    """Bytes of everything that is given to products of an exported graph."""
    graph = onnx.load(path, load_external_data=False).graph
    given = {name for node in graph.node if "MatMul" in node.op_type for name in node.input}
    return sum(
        math.prod(each.dims) * helper.tensor_dtype_to_np_dtype(each.data_type).itemsize
        for each in graph.initializer
        if each.name in given
    )


def _use_threads(path: Path, threads: int) -> None:
    """What a session of it may use."""
    config = json.loads(path.read_text(encoding="utf-8"))
    config["model"]["decoder"].setdefault("session_options", {})["intra_op_num_threads"] = threads
    path.write_text(json.dumps(config), encoding="utf-8")
