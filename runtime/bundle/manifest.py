"""The bundle contract: what export hands to runtime. What its tensors are called: `names.py`.

A bundle is a folder. `bundle.json` is a `Manifest`; the graphs, the token embeddings, the tokenizer
and the reference vectors lie beside it. Shapes in the manifest name their dynamic axes with words.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

FORMAT_VERSION = 4
Target = Literal["cuda", "cpu"]
EncoderType = Literal["float32", "fp16", "bf16", "int8"]
QuantizationKind = Literal["int4", "int4-mixed", "int8", "fp16", "float32"]
Accumulation = Literal["float", "int8"]


@dataclass(frozen=True, slots=True)
class DecoderShape:
    """Sizes of the decoder and its rotary embedding."""

    layers: int
    width: int
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    rope_theta: float
    mrope_section: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class VisionShape:
    """Sizes of the vision tower: patch, merge in patches, attention window in pixels."""

    patch: int
    merge: int
    temporal_patch: int
    window: int
    head_dim: int

    @property
    def token_pixels(self) -> int:
        """Pixels along a side of one visual token (28)."""
        return self.patch * self.merge


# Of every V-JEPA 2.1
TUBELET_FRAMES = 2
VJEPA_HEAD_DIM = 64


@dataclass(frozen=True, slots=True)
class VJepaShape:
    """Sizes of V-JEPA's input and features."""

    frames: int
    tubelets: int
    side: int
    width: int

    def shortened(self, tubelets: int) -> VJepaShape:
        """The same over a clip of so many tubelets at most."""
        count = min(tubelets, self.tubelets)
        return replace(self, frames=TUBELET_FRAMES * count, tubelets=count)

    @property
    def pixels(self) -> int:
        """Along a side of a frame as V-JEPA sees it, in patches of 16 in every one."""
        return 16 * self.side


@dataclass(frozen=True, slots=True)
class ResamplerShape:
    """The injected layers (0-based) that were kept, the one pruned, and the encoding's width.

    `pruned_layer`: the last of the decoder, where the residual reaches no logit; None where no
    module stands there.
    """

    injected_layers: tuple[int, ...]
    pruned_layer: int | None
    width: int
    blocks: int


@dataclass(frozen=True, slots=True)
class Geometry:
    """Every size of the model."""

    decoder: DecoderShape
    vision: VisionShape
    vjepa: VJepaShape
    resampler: ResamplerShape


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """A graph's input or output; a dynamic axis is a word."""

    name: str
    type: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class GraphSpec:
    """One graph: its file in the bundle, its inputs and outputs."""

    file: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


@dataclass(frozen=True, slots=True)
class PositionRule:
    """How M-RoPE positions are counted.

    `text_after`: the first text position after the video is the largest position on any axis plus
    one (transformers up to 4.51, which the released checkpoint was trained with).
    """

    tokens_per_second: float
    seconds_per_step: float = 1.0
    text_after: Literal["max_all_axes"] = "max_all_axes"


@dataclass(frozen=True, slots=True)
class PromptPieces:
    """Token ids of the chat template around the video and the text, and of the answers."""

    before_video: tuple[int, ...]
    after_video: tuple[int, ...]
    before_answer: tuple[int, ...]
    letters: dict[str, int]
    stop: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Settings:
    """What the live loop does unless told otherwise. Times in seconds, the grid in tokens."""

    live_height: int
    live_width: int
    window: float = 30.0
    fixation_rule: Literal["adaptive", "dispersion", "velocity", "device"] = "adaptive"
    dispersion_radius: float = 0.088
    min_open: float = 0.1
    gaze_age_limit: float = 0.25
    max_new_tokens: int = 64
    vjepa_input: Literal["newest_repeated"] = "newest_repeated"


@dataclass(frozen=True, slots=True)
class ParityFigure:
    """One comparison: of an exported graph with PyTorch, or of what was read of the checkpoints.

    `graph`: the graph, or the kind of what was read; `case`: what of it, and what with.
    `difference` is the largest one found. It must be at most `bound`, or at least so much where
    the case says that something has to change.
    """

    graph: str
    case: str
    difference: float
    bound: float
    must_change: bool = False
    layer_by_layer: bool = False

    @property
    def holds(self) -> bool:
        """Whether the figure is what it has to be; not a number never is."""
        if self.must_change:
            return self.difference >= self.bound
        return self.difference <= self.bound


@dataclass(frozen=True, slots=True)
class Quantization:
    """How the decoder's matrices are stored.

    `block`: weights that share a scale; None for a row each, or none. `accumulation`: what
    activations are brought to before they are multiplied. `errors`: the relative error of the
    weights by kind of matrix.
    """

    kind: QuantizationKind
    block: int | None
    accumulation: Accumulation
    errors: dict[str, float]


@dataclass(frozen=True, slots=True)
class Injection:
    """The decoder layer (0-based) of every module of the resampler, and how it is known.

    By the amplitudes that training moved, by a statement of whoever exported (`--layers`), or not
    at all: assumed to be evenly spaced.
    """

    layers: tuple[int, ...]
    known_by: Literal["amplitudes", "stated", "assumed"]


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a bundle comes from: sha256 of the checkpoint files, versions of the tools."""

    checkpoints: dict[str, str]
    tools: dict[str, str]
    weights: Literal["trained", "random"]
    injection: Injection


@dataclass(frozen=True, slots=True)
class FileSpec:
    """A file of the bundle as it was written."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """`bundle.json`. `target`: what its types were chosen for; `encoders`: theirs, by graph.

    `host_nodes`: by graph, the nodes that stay on the CPU by design where a GPU runs the rest.
    """

    format: int
    name: str
    geometry: Geometry
    graphs: dict[str, GraphSpec]
    positions: PositionRule
    prompt: PromptPieces
    settings: Settings
    target: Target
    encoders: dict[str, EncoderType]
    host_nodes: dict[str, tuple[str, ...]]
    quantization: Quantization
    provenance: Provenance
    parity: tuple[ParityFigure, ...] = ()
    files: dict[str, FileSpec] = field(default_factory=dict)
    digest: str = ""  # sha256 of the manifest itself, this field left empty

    @property
    def rounds_encoders(self) -> bool:
        """Whether matrices of any encoder are stored in less than float32."""
        return set(self.encoders.values()) != {"float32"}
