"""What a model of a real shape has to compute, read and hold, from its sizes alone.

Sources of the sizes: the configs of Qwen2.5-VL-3B and 7B and the decoder of Qwen2.5-0.5B; the
vision tower that all three have here; V-JEPA 2.1 ViT-B at 384 px over 16 frames. A multiplication
with its addition is two operations. `tests/runtime/sizing` compares all of it with the exporter's.
"""

from __future__ import annotations

from dataclasses import dataclass

HALF = 2  # bytes of keys, values, embeddings and encoders on a GPU
INT4_BITS = 4.5  # of a weight: 4, and a scale in 16 bits for 32 of them
MERGED = 4  # patches of the vision tower in a token
VJEPA_TUBELETS, VJEPA_TUBELET = 8, 24 * 24  # and the tokens of one
VJEPA_TOKENS, VJEPA_WIDTH, VJEPA_BLOCKS = VJEPA_TUBELETS * VJEPA_TUBELET, 768, 12
READ = 2  # tubelets from which the features of one step are made
VJEPA_PATCH = 3 * 2 * 16 * 16
TOWER_WIDTH, TOWER_FEED, TOWER_BLOCKS = 1280, 3420, 32
TOWER_PATCH = 3 * 2 * 14 * 14
VJEPA_HEADS = 12
SCORES = 2  # attention scores before and after softmax


@dataclass(frozen=True, slots=True)
class DecoderSize:
    """Sizes of a decoder. `tied`: whether its head is the matrix of its embeddings."""

    layers: int
    width: int
    heads: int
    kv_heads: int
    head_dim: int
    intermediate: int
    vocabulary: int
    tied: bool

    @property
    def weights(self) -> int:
        """Of all layers, without the head."""
        attention = self.width * (2 * self.heads + 2 * self.kv_heads) * self.head_dim
        return self.layers * (attention + 3 * self.width * self.intermediate)

    @property
    def head(self) -> int:
        """Weights that make logits."""
        return self.vocabulary * self.width

    def operations(self, tokens: int, past: int, rows: int = 0) -> int:
        """Of a run of `tokens` tokens after `past`, with the logits of `rows` of them."""
        attended = tokens * past + tokens * (tokens + 1) // 2
        attention = self.layers * 4 * attended * self.heads * self.head_dim
        return 2 * tokens * self.weights + 2 * rows * self.head + attention

    def stored(self, bits: float) -> float:
        """Bytes of layers and head at so many bits a weight."""
        return (self.weights + self.head) * bits / 8

    def row(self, width: int = HALF) -> int:
        """Bytes of the keys and values of a token, `width` bytes a number."""
        return 2 * self.layers * self.kv_heads * self.head_dim * width


DECODERS = {
    "0.5b": DecoderSize(24, 896, 14, 2, 64, 4864, 151936, tied=True),
    "3b": DecoderSize(36, 2048, 16, 2, 128, 11008, 151936, tied=True),
    "7b": DecoderSize(28, 3584, 28, 4, 128, 18944, 152064, tied=False),
}


def vjepa_weights() -> int:
    """Weights of V-JEPA: 4 and 8 times the width squared in a block, and its patches."""
    return VJEPA_BLOCKS * 12 * VJEPA_WIDTH**2 + VJEPA_WIDTH * VJEPA_PATCH


def vjepa_operations(read: int = READ) -> int:
    """Of one clip: products, and attention over all tokens.

    In the last block only those of the `read` tubelets attend, and are multiplied by what follows;
    all give keys and values.
    """
    attention = VJEPA_BLOCKS * 4 * VJEPA_TOKENS**2 * VJEPA_WIDTH
    unread = (VJEPA_TUBELETS - read) * VJEPA_TUBELET
    saved = unread * (4 * VJEPA_TOKENS * VJEPA_WIDTH + 2 * 10 * VJEPA_WIDTH**2)
    return 2 * VJEPA_TOKENS * vjepa_weights() + attention - saved


def vision_weights(width: int) -> tuple[int, int]:
    """Weights that see every patch, and those of the merger, which see every token."""
    block = 4 * TOWER_WIDTH**2 + 3 * TOWER_WIDTH * TOWER_FEED
    merged = MERGED * TOWER_WIDTH
    return TOWER_BLOCKS * block + TOWER_WIDTH * TOWER_PATCH, merged * (merged + width)


def vision_operations(width: int, tokens: int) -> int:
    """Of a pair of frames that becomes `tokens` tokens of `width`; attention, 1 %, is left out."""
    blocks, merger = vision_weights(width)
    return 2 * tokens * (MERGED * blocks + merger)


def fixed_memory(size: DecoderSize) -> float:
    """Bytes held whatever the window is, for CUDA: int4, encoders in 16 bits, V-JEPA's scores.

    Token embeddings are pages of a file.
    """
    encoders = HALF * (vjepa_weights() + sum(vision_weights(size.width)))
    scores = SCORES * VJEPA_HEADS * VJEPA_TOKENS**2 * HALF
    return size.stored(INT4_BITS) + encoders + scores
