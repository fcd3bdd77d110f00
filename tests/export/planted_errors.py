"""Errors of reading, to be planted in our code one at a time: never in what judges it."""

from dataclasses import replace

import torch

import export.checkpoints.chat as chat
import export.checkpoints.gaze as gaze_reading
import export.checkpoints.qwen as qwen_reading
from export import builder, inspection
from export.checkpoints.gaze import GazeCheckpoint
from export.checkpoints.qwen import QwenCheckpoint


def config(**changes):
    """Entries of the config misread; those of the tower start with `vision_`."""
    tower = {key.removeprefix("vision_"): changes[key] for key in changes if "vision_" in key}
    text = {key: value for key, value in changes.items() if "vision_" not in key}

    def plant(patch):
        read = qwen_reading.read_config

        def wrong(folder):
            decoder, vision = read(folder)
            return replace(decoder, **text), replace(vision, **tower)

        patch.setattr(qwen_reading, "read_config", wrong)

    return plant


def names(*pairs):
    """Tensors taken for each other."""
    swapped = dict(pairs) | {second: first for first, second in pairs}

    def plant(patch):
        read = QwenCheckpoint.tensor

        def wrong(self, name, dtype=None):
            for part, other in swapped.items():
                if part in name:
                    return read(self, name.replace(part, other), dtype)
            return read(self, name, dtype)

        patch.setattr(QwenCheckpoint, "tensor", wrong)

    return plant


def values(name, change):
    """One tensor's values misread."""

    def plant(patch):
        read = QwenCheckpoint.tensor

        def wrong(self, wanted, dtype=None):
            tensor = read(self, wanted, dtype)
            return change(tensor) if wanted == name else tensor

        patch.setattr(QwenCheckpoint, "tensor", wrong)

    return plant


def result(module, function, change):
    """What a function of ours returns, changed."""

    def plant(patch):
        read = getattr(module, function)
        patch.setattr(module, function, lambda *given: change(read(*given)))

    return plant


def lora(change):
    """The pairs of LoRA misread."""
    return result(builder, "load_gaze", lambda gaze: replace(gaze, lora=change(gaze.lora)))


def state(function, change):
    """A module's tensors misread by the `load_...` function of the builder."""

    def changed(loaded):
        module = loaded.resampler if isinstance(loaded, GazeCheckpoint) else loaded
        module.load_state_dict(change(dict(module.state_dict())))
        return loaded

    return result(builder, function, changed)


def scaled_by_the_root(patch):
    scale = property(lambda self: self.alpha / self.rank**0.5)
    patch.setattr(gaze_reading.GazeCheckpoint, "lora_scale", scale)


def key_for_query(tensors):
    for name in [name for name in tensors if name.endswith("qkv.weight")]:
        query, key, value = tensors[name].chunk(3)
        tensors[name] = torch.cat([key, query, value])
    return tensors


def without_q(pairs):
    return {key: pair for key, pair in pairs.items() if key[1] == "q_proj"}


def one_layer_on(pairs):
    return {((layer + 1) % 8, part): pair for (layer, part), pair in pairs.items()}


def cut_to_24(tokenizer):
    tokenizer.enable_truncation(24)
    return tokenizer


def as_it_comes(tokenizer):
    tokenizer.normalizer = None
    return tokenizer


def exchanged(tensors, first, second):
    return {
        name.replace(first, second) if first in name else name.replace(second, first): tensor
        for name, tensor in tensors.items()
    }


THE_FIFTEEN = {
    "rope theta": (config(rope_theta=5e5), "rope_theta is 500000.0"),
    "rms epsilon": (config(rms_epsilon=1e-5), "rms_norm_eps is 1e-05"),
    "mrope sections": (config(mrope_section=(3, 3, 2)), "mrope_section is (3, 3, 2)"),
    "gate and up": (names(("layers.2.mlp.gate", "layers.2.mlp.up")), "layers.2.mlp.gate_proj"),
    "two norms": (
        names(("layers.1.input_layernorm", "layers.1.post_attention_layernorm")),
        "layers.1.input_layernorm",
    ),
    "no q bias": (
        values("layers.0.self_attn.q_proj.bias", torch.zeros_like),
        "layers.0.self_attn.q_proj.bias",
    ),
    "two layers": (names(("layers.2.", "layers.5.")), "layers.2.self_attn.q_proj"),
    "rolled embeddings": (
        values("embed_tokens.weight", lambda table: table.roll(1, 0)),
        "embed_tokens.weight",
    ),
    "another final norm": (
        values("norm.weight", lambda norm: norm.flip(0)),
        "model.language_model.norm.weight",
    ),
    "LoRA by the root of its rank": (scaled_by_the_root, "layers.0.self_attn.q_proj.weight"),
    "no LoRA of v": (lora(without_q), "layers.0.self_attn.v_proj.weight"),
    "tokens per second": (config(vision_tokens_per_second=4), "tokens_per_second is 4"),
    "vision window": (config(vision_window=56), "window_size is 56"),
    "full-attention blocks": (
        config(vision_full_attention_blocks=(0, 3)),
        "fullatt_block_indexes is (0, 3)",
    ),
    "vision gate and up": (
        names(("visual.blocks.1.mlp.gate", "visual.blocks.1.mlp.up")),
        "model.visual.blocks.1.mlp.gate_proj",
    ),
}
OF_OUR_OWN = {
    "keys for values": (
        names(("layers.3.self_attn.k_proj.bias", "layers.3.self_attn.v_proj.bias")),
        "layers.3.self_attn.k_proj.bias",
    ),
    "half an embedding": (
        values("embed_tokens.weight", lambda table: table.half().float()),
        "embed_tokens.weight",
    ),
    "frames of a patch": (
        values("visual.patch_embed.proj.weight", lambda kernel: kernel.flip(2)),
        "model.visual.patch_embed.proj.weight",
    ),
    "another norm of the merger": (
        values("visual.merger.ln_q.weight", lambda norm: norm * 1.001),
        "model.visual.merger.ln_q.weight",
    ),
    "LoRA one layer on": (lora(one_layer_on), "layers.0.self_attn.q_proj.weight"),
    "norm of V-JEPA's first depth": (
        state("load_vjepa", lambda all_: exchanged(all_, "norms_block.3", "norms_block.0")),
        "norms_block.0.weight is not what the file holds",
    ),
    "V-JEPA's key for its query": (state("load_vjepa", key_for_query), "blocks.0.attn.qkv.weight"),
    "gaze for keys": (
        state("load_gaze", lambda all_: exchanged(all_, "k_projs", "g_projs")),
        "k_projs.0.0.weight is not what the file holds",
    ),
    "amplitude of the next layer": (
        state("load_gaze", lambda all_: all_ | {"amplitude": all_["amplitude"].roll(1)}),
        "amplitude is not what the file holds",
    ),
    "other means": (
        result(builder, "read_pictures", lambda rule: replace(rule, mean=(0.5, 0.5, 0.5))),
        "preprocessor_config.json: image_mean is (0.5, 0.5, 0.5)",
    ),
    "pixels by 256": (
        result(builder, "read_pictures", lambda rule: replace(rule, rescale=1 / 256)),
        "preprocessor_config.json: rescale_factor",
    ),
    "one stop token": (
        result(chat, "read_stops", lambda stops: stops[:1]),
        "generation_config.json: eos_token_id",
    ),
    "no system turn": (
        result(chat, "read_turns", lambda turns: replace(turns, before_video="<|vision_start|>")),
        "before the video stands '<|vision_start|>'",
    ),
    "a tokenizer that cuts": (
        result(inspection, "read_tokenizer", cut_to_24),
        "tokenizer.json, chat template: before the video stands",
    ),
    "text as it comes": (
        result(inspection, "read_tokenizer", as_it_comes),
        "tokenizer.json, chat template: 'cafe\u0301 and",
    ),
    "letters": (
        result(
            builder,
            "read_prompt",
            lambda prompt: replace(prompt, letters=prompt.letters | {"A": prompt.letters["B"]}),
        ),
        "tokenizer.json: the letter A",
    ),
}
