"""The drawn weights as a GGUF, which llama.cpp reads.

The decoder of Qwen2.5-VL is Qwen2's where the three sections of a position are equal, as those of
text are. The file has no vocabulary: tokens are numbers here.
"""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import torch

from benchmarks.instruments.decoders.workload import EMBEDDINGS, HEAD, DrawnWeights
from export.checkpoints.qwen_config import DecoderGeometry

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
