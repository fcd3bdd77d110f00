"""The shapes that random checkpoints come in, and the text their tokenizer is trained on.

Sources: the configs of Qwen2.5-VL-3B and 7B, the decoder of Qwen2.5-0.5B, V-JEPA 2.1 ViT-B at
384 px, the released GazeQwen resampler. `tiny` has the same parts at sizes that compute at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from export.checkpoints.qwen_config import DecoderGeometry, VisionGeometry
from export.modules.resampler import ResamplerGeometry
from export.modules.vjepa import VJepaGeometry

MEBIBYTE = 1 << 20
GIBIBYTE = 1 << 30

CORPUS = (
    "You are a helpful assistant.",
    "Question: What am I looking at?\nOptions:\nA. the red cup\nB. the blue kettle\n"
    "C. the wooden spoon\nD. the window\n\nThe best option is: A",
    "Question: Which object did I look at before the knife? Based on the video so far, should the "
    "alert be triggered?\nOptions:\nA. Yes\nB. No\n\nThe best option is: B",
    "Question: What will the wearer do next?\nOptions:\nA. open the drawer\nB. wash the plate\n"
    "C. pour water into the glass\nD. turn off the light\n\nThe best option is: C",
    "Question: How many times has the person looked away from the screen?\nOptions:\nA. once\n"
    "B. twice\nC. three times\nD. never\n\nThe best option is: D",
    "You are looking at a small white bowl on the left side of the table, behind the bread.",
    "Your eyes rest on the text of a street sign; the traffic light above it is green.",
    "Tell me when I am looking at the phone. The answer is yes, you looked at it 2 seconds ago.",
    "There are 3 people in the room and 14 books on the shelf near the door, 5 of them yellow.",
    "She picks up the scissors with her right hand, cuts the paper and puts them back again.",
)


@dataclass(frozen=True, slots=True)
class RandomShape:
    """All sizes of one set of checkpoints. The decoder is stored as `dtype`, a shard in bytes."""

    decoder: DecoderGeometry
    vision: VisionGeometry
    vjepa: VJepaGeometry
    resampler: ResamplerGeometry
    dtype: torch.dtype
    shard_bytes: int


def _real(decoder: DecoderGeometry) -> RandomShape:
    """A decoder with the vision tower, the encoder and the resampler of the released model."""
    vision = VisionGeometry(
        depth=32,
        width=1280,
        heads=16,
        intermediate=3420,
        patch=14,
        temporal_patch=2,
        merge=2,
        window=112,
        full_attention_blocks=(7, 15, 23, 31),
        out_width=decoder.width,
        tokens_per_second=2,
        channels=3,
    )
    vjepa = VJepaGeometry(width=768, depth=12)
    resampler = ResamplerGeometry(vjepa.width, decoder.width, decoder.layers)
    return RandomShape(decoder, vision, vjepa, resampler, torch.bfloat16, GIBIBYTE)


def _decoder(
    layers: int,
    width: int,
    heads: int,
    kv_heads: int,
    intermediate: int,
    vocabulary: int,
    tied: bool = True,
) -> DecoderGeometry:
    head_dim = width // heads
    return DecoderGeometry(
        layers=layers,
        width=width,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        intermediate=intermediate,
        vocabulary=vocabulary,
        rms_epsilon=1e-6,
        rope_theta=1e6,
        mrope_section=(head_dim // 8, 3 * head_dim // 16, 3 * head_dim // 16),
        tied=tied,
    )


def _tiny() -> RandomShape:
    decoder = _decoder(8, 64, 4, 2, 160, vocabulary=512)
    vision = VisionGeometry(
        depth=4,
        width=64,
        heads=4,
        intermediate=96,
        patch=14,
        temporal_patch=2,
        merge=2,
        window=112,
        full_attention_blocks=(1, 3),
        out_width=decoder.width,
        tokens_per_second=2,
        channels=3,
    )
    vjepa = VJepaGeometry(width=64, depth=2, pixels=64)
    resampler = ResamplerGeometry(
        vjepa.width, decoder.width, decoder.layers, n_latents=8, d_latent=32
    )
    return RandomShape(decoder, vision, vjepa, resampler, torch.float32, MEBIBYTE)


SHAPES = {
    "tiny": _tiny(),
    "0.5b": _real(_decoder(24, 896, 14, 2, 4864, vocabulary=151936)),
    "3b": _real(_decoder(36, 2048, 16, 2, 11008, vocabulary=151936)),
    "7b": _real(_decoder(28, 3584, 28, 4, 18944, vocabulary=152064, tied=False)),
}
