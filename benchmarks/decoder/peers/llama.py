"""llama.cpp on the same weights: a GGUF of them in bf16, rounded by llama.cpp's own quantizer."""

from __future__ import annotations

import ctypes
from pathlib import Path

import llama_cpp
import numpy as np
from numpy.typing import NDArray

from benchmarks.decoder.peers.catalog import Peer
from benchmarks.decoder.peers.gguf_file import multiplied_bytes, write_gguf
from benchmarks.instruments.decoders.workload import Workload, seconds
from export.random.shapes import SHAPES
from runtime.errors import EngineError


class LlamaDecoder:
    """See `Decoder`."""

    def __init__(self, name: str, path: Path, workload: Workload, threads: int) -> None:
        self.name, self.stored = name, multiplied_bytes(path)
        self._work, self._length = workload, 0
        llama_cpp.llama_backend_init()
        model = llama_cpp.llama_model_load_from_file(
            str(path).encode(), llama_cpp.llama_model_default_params()
        )
        if model is None:
            raise EngineError("llama.cpp can't load the file that was written for it")
        settings = llama_cpp.llama_context_default_params()
        settings.n_ctx = len(workload.context) + len(workload.answer)
        settings.n_batch = settings.n_ubatch = max(workload.step, len(workload.answer))
        settings.n_threads = settings.n_threads_batch = threads
        self._model = model
        self._context = llama_cpp.llama_init_from_model(model, settings)
        self._memory = llama_cpp.llama_get_memory(self._context)
        self._batch = llama_cpp.llama_batch_init(settings.n_batch, 0, 1)
        self._vocabulary = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))

    def clear(self) -> None:
        """See `Decoder`."""
        llama_cpp.llama_memory_clear(self._memory, True)
        self._length = 0

    def append(self, step: int) -> float:
        """See `Decoder`."""
        tokens = self._work.tokens_of(step)
        spent = seconds(lambda: self._run(tokens, wanted=False))
        self._length += len(tokens)
        return spent

    def decode(self) -> float:
        """See `Decoder`."""
        spent = seconds(lambda: self._run(self._work.answer[:1], wanted=True))
        self._rewind()
        return spent

    def follow(self) -> NDArray[np.float32]:
        """See `Decoder`."""
        tokens = self._work.answer
        self._run(tokens, wanted=True)
        rows = [llama_cpp.llama_get_logits_ith(self._context, row) for row in range(len(tokens))]
        shape = (self._vocabulary,)
        logits = np.stack([np.ctypeslib.as_array(row, shape).copy() for row in rows])
        self._rewind()
        return logits

    def _rewind(self) -> None:
        llama_cpp.llama_memory_seq_rm(self._memory, 0, self._length, -1)

    def _run(self, tokens: NDArray[np.int64], wanted: bool) -> None:
        batch = self._batch
        batch.n_tokens = len(tokens)
        for place, token in enumerate(tokens.tolist()):
            batch.token[place], batch.pos[place] = token, self._length + place
            batch.n_seq_id[place], batch.seq_id[place][0] = 1, 0
            batch.logits[place] = wanted
        status = llama_cpp.llama_decode(self._context, batch)
        llama_cpp.llama_synchronize(self._context)
        if status:
            raise EngineError(f"llama.cpp gave status {status}")


def open_decoder(
    peer: Peer, shape: str, workload: Workload, folder: Path, threads: int
) -> LlamaDecoder:
    """A decoder of the random weights of a shape; its files are kept in `folder`."""
    whole, path = folder / f"{shape}.gguf", folder / f"{shape}.{peer.variant}.gguf"
    if not path.exists():
        if not whole.exists():
            write_gguf(whole, SHAPES[shape].decoder)
        quantize(whole, path, peer.variant)
    return LlamaDecoder(peer.name, path, workload, threads)


def quantize(source: Path, path: Path, variant: str) -> None:
    """By llama.cpp's own quantizer."""
    settings = llama_cpp.llama_model_quantize_default_params()
    settings.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{variant}")
    part = path.with_suffix(".part")
    names = str(source).encode(), str(part).encode()
    if llama_cpp.llama_model_quantize(*names, ctypes.byref(settings)):
        raise EngineError(f"llama.cpp can't round to {variant}")
    part.replace(path)
