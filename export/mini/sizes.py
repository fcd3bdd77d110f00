"""The sizes of mini: the real architecture, every part small."""

from __future__ import annotations

from dataclasses import dataclass

from tokenizers import Tokenizer
from transformers import Qwen2_5_VLConfig

from export.checkpoints.qwen_config import VisionGeometry
from export.modules.resampler import ResamplerGeometry
from export.modules.vjepa import VJepaGeometry
from export.random.tokenizer import (
    END_OF_TEXT,
    IMAGE_PAD,
    TURN_END,
    VIDEO_PAD,
    VISION_END,
    VISION_START,
)

GRID = 4  # visual tokens a side
CELLS = GRID * GRID
TOKEN_PIXELS = 28
FRAME = GRID * TOKEN_PIXELS  # pixels a side of a live frame
FRAME_GAP = 1.0  # seconds between a step's two frames: 1 frame per second up to 30 s
STEP_GAP = 2.0  # seconds between steps
MIN_OPEN = 0.1  # seconds after which an open fixation counts
MOST_STEPS = 16
LORA_RANK = 8
LORA_ALPHA = 16.0


VISION = VisionGeometry(
    depth=3,
    width=96,
    heads=3,
    intermediate=256,
    patch=14,
    temporal_patch=2,
    merge=2,
    window=56,
    full_attention_blocks=(1, 2),
    out_width=128,
    tokens_per_second=2,
    channels=3,
)
VJEPA = VJepaGeometry(width=64, depth=2, pixels=64)


@dataclass(frozen=True, slots=True)
class MiniSizes:
    """What is not fixed by the architecture. The vocabulary is an upper bound."""

    width: int = 128
    layers: int = 6
    heads: int = 4
    kv_heads: int = 2
    intermediate: int = 384
    vocabulary: int = 640
    vision: VisionGeometry = VISION
    vjepa: VJepaGeometry = VJEPA
    latents: int = 16
    d_latent: int = 64

    @property
    def resampler(self) -> ResamplerGeometry:
        return ResamplerGeometry(
            self.vjepa.width,
            self.width,
            self.layers,
            n_latents=self.latents,
            d_latent=self.d_latent,
        )


def qwen_config(sizes: MiniSizes, tokenizer: Tokenizer) -> Qwen2_5_VLConfig:
    """The config of a Qwen2.5-VL of these sizes with this tokenizer's special tokens."""
    rotary = sizes.width // sizes.heads // 2
    vision = sizes.vision
    token = tokenizer.token_to_id
    special = {
        "bos_token_id": token(END_OF_TEXT),
        "eos_token_id": token(TURN_END),
    }
    return Qwen2_5_VLConfig(
        text_config={
            "vocab_size": tokenizer.get_vocab_size(),
            "hidden_size": sizes.width,
            "intermediate_size": sizes.intermediate,
            "num_hidden_layers": sizes.layers,
            "num_attention_heads": sizes.heads,
            "num_key_value_heads": sizes.kv_heads,
            "rms_norm_eps": 1e-6,
            "max_position_embeddings": 4096,
            "initializer_range": 0.05,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 1e6,
                "mrope_section": [rotary // 4, 3 * rotary // 8, 3 * rotary // 8],
            },
            "tie_word_embeddings": True,
            **special,
        },
        vision_config={
            "depth": vision.depth,
            "hidden_size": vision.width,
            "intermediate_size": vision.intermediate,
            "num_heads": vision.heads,
            "patch_size": vision.patch,
            "temporal_patch_size": vision.temporal_patch,
            "spatial_merge_size": vision.merge,
            "window_size": vision.window,
            "fullatt_block_indexes": list(vision.full_attention_blocks),
            "out_hidden_size": vision.out_width,
            "tokens_per_second": vision.tokens_per_second,
            "initializer_range": 0.05,
        },
        tie_word_embeddings=True,
        image_token_id=token(IMAGE_PAD),
        video_token_id=token(VIDEO_PAD),
        vision_start_token_id=token(VISION_START),
        vision_end_token_id=token(VISION_END),
        **special,
    )
