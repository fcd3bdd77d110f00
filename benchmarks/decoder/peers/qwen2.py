"""The drawn weights as a folder of Hugging Face's: what exporters of other projects take."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from export.checkpoints.qwen_config import DecoderGeometry
from export.random.safetensors_writer import write_shards
from export.random.shapes import CORPUS, GIBIBYTE
from export.random.tensors import random_pieces
from export.random.tokenizer import END_OF_TEXT, train_tokenizer, write_tokenizer

INDEX = "model.safetensors.index.json"  # which is written last


def write_qwen2(folder: Path, geometry: DecoderGeometry) -> None:
    """A Qwen2 in bf16, unless it is there already.

    It is the decoder of a Qwen2.5-VL where the three sections of a position are equal, as those of
    text are.
    """
    if (folder / INDEX).exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer(CORPUS, geometry.vocabulary)
    write_tokenizer(tokenizer, folder)
    end = tokenizer.token_to_id(END_OF_TEXT)
    config = {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "attention_dropout": 0.0,
        "bos_token_id": end,
        "eos_token_id": end,
        "hidden_act": "silu",
        "hidden_size": geometry.width,
        "intermediate_size": geometry.intermediate,
        "max_position_embeddings": 1 << 15,
        "max_window_layers": geometry.layers,
        "num_attention_heads": geometry.heads,
        "num_hidden_layers": geometry.layers,
        "num_key_value_heads": geometry.kv_heads,
        "rms_norm_eps": geometry.rms_epsilon,
        "rope_theta": geometry.rope_theta,
        "tie_word_embeddings": geometry.tied,
        "torch_dtype": "bfloat16",
        "use_cache": True,
        "use_sliding_window": False,
        "vocab_size": geometry.vocabulary,
    }
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    names = {
        name if name == "lm_head.weight" else f"model.{name}": size
        for name, size in geometry.shapes().items()
    }
    write_shards(
        folder,
        names,
        torch.bfloat16,
        GIBIBYTE,
        lambda name, size: random_pieces(name.removeprefix("model."), size, 0),
        lambda written: None,
    )
