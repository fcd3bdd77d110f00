"""llama.cpp on the same weights: a GGUF of them in bf16, rounded by llama.cpp's own quantizer.

The decoder of Qwen2.5-VL is Qwen2's where the three sections of a position are equal, as those of
text are. The file has no vocabulary: tokens are numbers here.
"""

from __future__ import annotations

import ctypes
from pathlib import Path

import gguf
import llama_cpp
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.decoder.peers.catalog import Peer
from benchmarks.instruments.decoders.workload import (
    EMBEDDINGS,
    HEAD,
    DrawnWeights,
    Workload,
    seconds,
)
from export.checkpoints.qwen_config import DecoderGeometry
from export.random.shapes import SHAPES
from runtime.errors import EngineError

ARCHITECTURE = "qwen2"
NAMES = {
    "input_layernorm.weight": "attn_norm.weight",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm.weight": "ffn_norm.weight",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
WHOLE = {EMBEDDINGS: "token_embd", "norm.weight": "output_norm", HEAD: "output"}


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


def multiplied_bytes(path: Path) -> int:
    """Bytes of the tensors of a file; of embeddings only where they make logits, too."""
    sizes = {each.name: each.n_bytes for each in gguf.GGUFReader(path).tensors}
    if f"{WHOLE[HEAD]}.weight" in sizes:
        del sizes[gguf_name(EMBEDDINGS)]
    return int(sum(sizes.values()))


def write_gguf(path: Path, geometry: DecoderGeometry) -> None:
    """The drawn weights as bf16 holds them; what is no matrix in float32."""
    part = path.with_suffix(".part")
    writer = gguf.GGUFWriter(part, ARCHITECTURE)
    writer.add_context_length(1 << 15)
    writer.add_block_count(geometry.layers)
    writer.add_embedding_length(geometry.width)
    writer.add_feed_forward_length(geometry.intermediate)
    writer.add_head_count(geometry.heads)
    writer.add_head_count_kv(geometry.kv_heads)
    writer.add_rope_freq_base(geometry.rope_theta)
    writer.add_layer_norm_rms_eps(geometry.rms_epsilon)
    writer.add_vocab_size(geometry.vocabulary)
    writer.add_tokenizer_model("none")
    weights = DrawnWeights(geometry)
    for name, shape in geometry.shapes().items():
        tensor, theirs = weights.tensor(name), gguf_name(name)
        if len(shape) == 1:
            writer.add_tensor(theirs, tensor.float().numpy())
        else:
            bits = tensor.view(torch.uint16).numpy()
            kind = gguf.GGMLQuantizationType.BF16
            writer.add_tensor(theirs, bits.view(np.uint8), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    part.replace(path)


def gguf_name(name: str) -> str:
    """How llama.cpp calls a tensor of the decoder."""
    if name in WHOLE:
        return f"{WHOLE[name]}.weight"
    _, layer, rest = name.split(".", 2)
    if rest in NAMES:
        return f"blk.{layer}.{NAMES[rest]}"
    matrix, _, kind = rest.rpartition(".")
    return f"blk.{layer}.{NAMES[matrix]}.{kind}"


def quantize(source: Path, path: Path, variant: str) -> None:
    """By llama.cpp's own quantizer."""
    settings = llama_cpp.llama_model_quantize_default_params()
    settings.ftype = getattr(llama_cpp, f"LLAMA_FTYPE_MOSTLY_{variant}")
    part = path.with_suffix(".part")
    names = str(source).encode(), str(part).encode()
    if llama_cpp.llama_model_quantize(*names, ctypes.byref(settings)):
        raise EngineError(f"llama.cpp can't round to {variant}")
    part.replace(path)
