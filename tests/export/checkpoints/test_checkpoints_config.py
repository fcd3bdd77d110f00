import json

import pytest
from transformers import Qwen2_5_VLConfig

from export.checkpoints.qwen_config import DecoderGeometry, VisionGeometry, read_config

# config.json of Qwen2.5-VL-7B-Instruct on the hub, less what no geometry is read from.
HUB_CONFIG = {
    "model_type": "qwen2_5_vl",
    "hidden_act": "silu",
    "hidden_size": 3584,
    "intermediate_size": 18944,
    "num_attention_heads": 28,
    "num_hidden_layers": 28,
    "num_key_value_heads": 4,
    "rms_norm_eps": 1e-06,
    "rope_theta": 1000000.0,
    "use_sliding_window": False,
    "tie_word_embeddings": False,
    "vision_config": {
        "depth": 32,
        "hidden_act": "silu",
        "hidden_size": 1280,
        "intermediate_size": 3420,
        "num_heads": 16,
        "in_chans": 3,
        "out_hidden_size": 3584,
        "patch_size": 14,
        "spatial_merge_size": 2,
        "window_size": 112,
        "fullatt_block_indexes": [7, 15, 23, 31],
        "tokens_per_second": 2,
        "temporal_patch_size": 2,
    },
    "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]},
    "vocab_size": 152064,
}
DECODER_7B = DecoderGeometry(
    layers=28,
    width=3584,
    heads=28,
    kv_heads=4,
    head_dim=128,
    intermediate=18944,
    vocabulary=152064,
    rms_epsilon=1e-6,
    rope_theta=1e6,
    mrope_section=(16, 24, 24),
    tied=False,
)
VISION_7B = VisionGeometry(
    depth=32,
    width=1280,
    heads=16,
    intermediate=3420,
    patch=14,
    temporal_patch=2,
    merge=2,
    window=112,
    full_attention_blocks=(7, 15, 23, 31),
    out_width=3584,
    tokens_per_second=2,
    channels=3,
)
TEXT_KEYS = {
    "hidden_act",
    "hidden_size",
    "intermediate_size",
    "num_attention_heads",
    "num_hidden_layers",
    "num_key_value_heads",
    "rms_norm_eps",
    "rope_scaling",
    "rope_theta",
    "tie_word_embeddings",
    "use_sliding_window",
    "vocab_size",
}


def text_config(config):
    """The layout of transformers 4.52: the decoder's keys one level down."""
    text = {key: value for key, value in config.items() if key in TEXT_KEYS}
    outer = {key: value for key, value in config.items() if key not in TEXT_KEYS}
    return outer | {"text_config": text}


def rope_parameters(config):
    """The layout of transformers 5: `text_config`, and the rotary parameters in one place."""
    config = text_config(config)
    text = config["text_config"]
    rotary = text.pop("rope_scaling") | {"rope_theta": text.pop("rope_theta")}
    text["rope_parameters"] = rotary | {"rope_type": "default"}
    return config


def as_hub(config):
    return config


@pytest.mark.parametrize("layout", [as_hub, text_config, rope_parameters])
def test_the_geometry_is_read_from_every_spelling_of_the_config(layout, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(layout(HUB_CONFIG)))
    assert read_config(tmp_path) == (DECODER_7B, VISION_7B)


def test_the_geometry_is_read_from_what_transformers_saves(tmp_path):
    config = json.loads(json.dumps(HUB_CONFIG)) | {"tie_word_embeddings": True}
    config["vision_config"]["tokens_per_second"] = 25
    Qwen2_5_VLConfig(**config).save_pretrained(tmp_path)
    decoder, vision = read_config(tmp_path)
    assert decoder.tied
    assert decoder.mrope_section == (16, 24, 24)
    assert decoder.rope_theta == 1e6
    assert vision.tokens_per_second == 25


def test_a_value_that_equals_transformers_default_may_be_missing(tmp_path):
    """As saved by transformers 4.49, whose vision configs hold only what differs."""
    vision = {"hidden_size": 1280, "tokens_per_second": 2, "in_chans": 3}
    config = {key: value for key, value in HUB_CONFIG.items() if key != "vocab_size"}
    (tmp_path / "config.json").write_text(json.dumps(config | {"vision_config": vision}))
    assert read_config(tmp_path) == (DECODER_7B, VISION_7B)


@pytest.mark.parametrize("tied", ["outer", "text_config"])
def test_tied_embeddings_are_recognised_at_either_level(tied, tmp_path):
    config = text_config(HUB_CONFIG)
    (config if tied == "outer" else config["text_config"])["tie_word_embeddings"] = True
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert read_config(tmp_path)[0].tied
