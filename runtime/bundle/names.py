"""What the files and graphs of a bundle, and their tensors, are called: written once.

Shapes name their dynamic axes with words.
"""

from __future__ import annotations

# Files beside those of the graphs
MANIFEST_FILE = "bundle.json"
EMBEDDINGS_FILE = "embeddings.npy"
TOKENIZER_FILE = "tokenizer.json"
VECTORS_FILE = "vectors.npz"

# Graphs
VJEPA = "vjepa"
SCENE = "resampler.scene"
GAZE = "resampler.gaze"
VISION = "vision"
DECODER = "decoder"
GRAPHS = (VJEPA, SCENE, GAZE, VISION, DECODER)

# vjepa
CLIP = "frames"  # (seen, h, w, 3) uint8: the frames of a clip that differ
FRAME_ORDER = "frame_order"  # (tubelets, 2) int64: which of them stands at each place
# Between which rows each of V-JEPA's rows lies: all that are before, then all that are behind
ROW_PIXELS = "row_pixels"  # (2 * pixels,) int64
ROW_SHARES = "row_shares"  # (pixels,) float32: of those that are behind
COLUMN_PIXELS = "column_pixels"
COLUMN_SHARES = "column_shares"
CLIP_COS = "clip_cos"  # (tubelets, side * side, 64) float32
CLIP_SIN = "clip_sin"
WANTED_TUBELETS = "wanted_tubelets"  # (wanted,) int64: those whose features are read
TUBELET_FEATURES = "tubelet_features"  # (wanted, side, side, d_vjepa)
# resampler.scene: the linear interpolations to one step and to its grid, as matrices
TUBELET_WEIGHTS = "tubelet_weights"  # (wanted,)
ROW_WEIGHTS = "row_weights"  # (H, side)
COLUMN_WEIGHTS = "column_weights"  # (W, side)
SCENE_TOKENS = "scene_tokens"  # (injected, H*W, d_latent)
SCENE_KEYS = "scene_keys"  # (injected, blocks, H*W, d_latent)
SCENE_VALUES = "scene_values"  # (injected, blocks, H*W, d_latent)
# resampler.gaze
GAZE_ENCODING = "gaze_encoding"  # (d_latent,)
RESIDUALS = "residuals"  # (injected, H*W, D); in the decoder (injected, tokens or 1, D)
# vision
FRAME_PAIR = "frame_pair"  # (2, 28H, 28W, 3) uint8
WINDOW_ORDER = "window_order"  # (windows, window tokens) int64: the patch at each place
WINDOW_MASK = "window_mask"  # (windows, window tokens) float32: 0, or a large negative at padding
WINDOW_PLACE = "window_place"  # (patches,) int64: the place of each patch
VISION_COS = "vision_cos"  # (patches, head_dim)
VISION_SIN = "vision_sin"
VISUAL_EMBEDDINGS = "visual_embeddings"  # (H*W, D)
# decoder
EMBEDDINGS = "embeddings"  # (1, tokens, D)
ROTARY_COS = "rotary_cos"  # (capacity, head_dim / 2), of the type of keys: row i is token i's
ROTARY_SIN = "rotary_sin"
ROWS = "rows"  # (wanted,) int64: the tokens of this run whose logits are wanted
LAST_POSITION = "last_position"  # (1,) int32: index in the context of the run's last token
TOTAL_LENGTH = "total_length"  # () int32: tokens in the context after the run
LOGITS = "logits"  # (wanted, vocabulary)
# A decoder for CUDA appends to two contexts in one run, so that its weights are read once for both:
# the tokens of one, then those of the other. What belongs to the other has the names of `beside`.
PAIR_SIZES = "pair_sizes"  # (2,) int64: the tokens of this run in each


def beside(name: str) -> str:
    """The same tensor of the second context of a run."""
    return f"beside.{name}"


def past_key(layer: int) -> str:
    """Name of a layer's key buffer as an input: (1, kv_heads, capacity, head_dim)."""
    return f"past_key.{layer}"


def past_value(layer: int) -> str:
    """Name of a layer's value buffer as an input: (1, kv_heads, capacity, head_dim)."""
    return f"past_value.{layer}"


def present_key(layer: int) -> str:
    """Name of a layer's key buffer as an output, the same memory as the input."""
    return f"present_key.{layer}"


def present_value(layer: int) -> str:
    """Name of a layer's value buffer as an output, the same memory as the input."""
    return f"present_value.{layer}"
