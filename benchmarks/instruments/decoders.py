"""One decoder of random weights in PyTorch and in engines of several precisions, side by side.

What `benchmarks.decode` times. All hold the same weights: those of PyTorch, in bf16.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import DynamicCache, Qwen2_5_VLTextConfig
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLTextModel

from export.checkpoints.qwen_config import DecoderGeometry
from export.graphs.decoder import DecoderEmitter
from export.graphs.graph_writer import GraphWriter, tensor_info
from export.graphs.quantization import linears
from export.parity.reading.transformers_reading import quiet
from export.random.tensors import random_tensor
from runtime.bundle import manifest as names
from runtime.bundle.manifest import Accumulation, DecoderShape, QuantizationKind
from runtime.engines.engine import OnnxEngine
from runtime.inputs.positions import rotary_rows, text_positions

THREADS = 1


@dataclass(frozen=True, slots=True, eq=False)
class Workload:
    """`visual` (tokens, D) is prefilled in steps of `step`; then `token` (1, D) is decoded.

    `residuals` (injected, step, D) are added to every step in the engines, as in a live run. They
    are zero, so that PyTorch needs none to give the same logits.
    """

    visual: NDArray[np.float32]
    token: NDArray[np.float32]
    residuals: NDArray[np.float32]
    step: int

    @classmethod
    def drawn(cls, geometry: DecoderGeometry, tokens: int, step: int) -> Workload:
        """Random activations of unit size; layers are injected as in the released model."""
        rng = np.random.default_rng(0)
        visual, token = (
            rng.normal(size=(count, geometry.width)).astype(np.float32) for count in (tokens, 1)
        )
        residuals = np.zeros((len(injected_layers(geometry)), step, geometry.width), np.float32)
        return cls(visual, token, residuals, step)


class Decoder(Protocol):
    """A decoder that can be timed."""

    name: str

    def prefill(self) -> None:
        """The visual tokens of the workload into an empty context, step by step, no logits."""
        ...

    def decode(self) -> NDArray[np.float32]:
        """One token after them: logits (vocabulary,). The context is left as it was."""
        ...


class DrawnWeights:
    """Random tensors of the decoder by their canonical names, as bf16 holds them."""

    def __init__(self, geometry: DecoderGeometry) -> None:
        self._shapes = geometry.shapes()

    def tensor(self, name: str, dtype: torch.dtype | None = None) -> torch.Tensor:
        """Draw one tensor; tied embeddings are the head too."""
        drawn = name if name in self._shapes else "embed_tokens.weight"
        tensor = random_tensor(drawn, self._shapes[drawn], seed=0).to(torch.bfloat16)
        return tensor.to(dtype or torch.bfloat16)


class TorchDecoder:
    """transformers' text model in bf16, with its growing cache."""

    name = "PyTorch bf16"

    def __init__(self, geometry: DecoderGeometry, workload: Workload) -> None:
        weights = DrawnWeights(geometry)
        self._model = Qwen2_5_VLTextModel(_text_config(geometry)).to(torch.bfloat16).eval()
        for name, parameter in self._model.named_parameters():
            parameter.requires_grad_(False).copy_(weights.tensor(name))
        self._head = weights.tensor("lm_head.weight")
        steps = torch.from_numpy(workload.visual).to(torch.bfloat16)
        self._steps = steps.split(workload.step)
        self._token = torch.from_numpy(workload.token).to(torch.bfloat16)
        self._cache = DynamicCache()

    @torch.inference_mode()
    def prefill(self) -> None:
        """See `Decoder.prefill`."""
        self._cache = DynamicCache()
        for step in self._steps:
            self._run(step)

    @torch.inference_mode()
    def decode(self) -> NDArray[np.float32]:
        """See `Decoder.decode`."""
        logits = self._run(self._token) @ self._head.T
        self._cache.crop(-1)
        return logits[0].float().numpy()

    def _run(self, embeddings: torch.Tensor) -> torch.Tensor:
        past = self._cache.get_seq_length()
        places = torch.arange(past, past + len(embeddings)).expand(3, 1, -1)
        output = self._model(
            inputs_embeds=embeddings[None],
            position_ids=places,
            past_key_values=self._cache,
            use_cache=True,
        )
        return output.last_hidden_state[0]


class EngineDecoder:
    """An emitted decoder in ONNX Runtime, its keys and values in buffers as in a live run."""

    def __init__(
        self,
        name: str,
        path: Path,
        geometry: DecoderGeometry,
        workload: Workload,
        threads: int = THREADS,
    ) -> None:
        self.name = name
        self.data_bytes = path.with_name(f"{path.name}.data").stat().st_size
        self._engine = OnnxEngine(path, threads)
        self._work = workload
        capacity = len(workload.visual) + 1
        shape = decoder_shape(geometry)
        self._cos, self._sin = rotary_rows(shape, text_positions(0, capacity))
        self._past, self._present = {}, {}
        for layer in range(geometry.layers):
            for past, present in (
                (names.past_key(layer), names.present_key(layer)),
                (names.past_value(layer), names.present_value(layer)),
            ):
                size = (1, geometry.kv_heads, capacity, geometry.head_dim)
                self._past[past] = self._engine.buffer(size, np.float32)
                self._present[present] = self._past[past]

    def prefill(self) -> None:
        """See `Decoder.prefill`."""
        work = self._work
        for past in range(0, len(work.visual), work.step):
            self._run(work.visual[past : past + work.step], past, work.residuals, [])

    def decode(self) -> NDArray[np.float32]:
        """See `Decoder.decode`."""
        work = self._work
        return self._run(work.token, len(work.visual), work.residuals[:, :1], [0])[0]

    def _run(
        self,
        embeddings: NDArray[np.float32],
        past: int,
        residuals: NDArray[np.float32],
        rows: list[int],
    ) -> NDArray[np.float32]:
        total = past + len(embeddings)
        inputs = {
            names.EMBEDDINGS: embeddings[None],
            names.ROTARY_COS: self._cos,
            names.ROTARY_SIN: self._sin,
            names.RESIDUALS: residuals,
            names.ROWS: np.array(rows, np.int64),
            names.LAST_POSITION: np.array([total - 1], np.int32),
            names.TOTAL_LENGTH: np.array(total, np.int32),
            **self._past,
        }
        return self._engine.run(inputs, into=self._present)[names.LOGITS]


class MatrixProduct:
    """A float32 product of the shape that takes most of a prefill, in ONNX Runtime and PyTorch."""

    def __init__(self, folder: Path, geometry: DecoderGeometry, rows: int) -> None:
        wide, narrow = geometry.intermediate, geometry.width
        rng = np.random.default_rng(0)
        self._left = rng.normal(size=(rows, narrow)).astype(np.float32)
        right = rng.normal(size=(narrow, wide)).astype(np.float32)
        self._torch = torch.from_numpy(self._left), torch.from_numpy(right)
        with GraphWriter(folder, "product") as graph:
            weight = graph.weight("right", right)
            graph.node("MatMul", ["left", weight], ["product"])
            path = graph.save(
                [tensor_info("left", np.float32, ["rows", narrow])],
                [tensor_info("product", np.float32, ["rows", wide])],
            )
        self._engine = OnnxEngine(path, THREADS)
        self.operations = 2 * rows * narrow * wide

    def in_engine(self) -> None:
        """One product in ONNX Runtime."""
        self._engine.run({"left": self._left})

    def in_torch(self) -> None:
        """One product in PyTorch."""
        torch.mm(*self._torch)


def emit_decoder(
    folder: Path, geometry: DecoderGeometry, kind: QuantizationKind, accumulation: Accumulation
) -> Path:
    """Emit the decoder of `DrawnWeights` into a folder of its own; returns the graph's path."""
    folder.mkdir(parents=True, exist_ok=True)
    emitter = DecoderEmitter(
        DrawnWeights(geometry), geometry, injected_layers(geometry), linears(kind, accumulation)
    )
    return emitter.emit(folder)


def injected_layers(geometry: DecoderGeometry) -> tuple[int, ...]:
    """Those of the released model, the dead last one left out."""
    quarter = geometry.layers / 4
    return tuple(int((index + 1) * quarter) - 1 for index in range(3))


def prefill_operations(geometry: DecoderGeometry, tokens: int) -> int:
    """Floating-point operations that prefilling `tokens` without logits needs.

    Of the last layer only keys and values are needed; its query comes with them, being packed.
    """
    attended = tokens * (tokens + 1) // 2
    heads, pairs = geometry.heads * geometry.head_dim, 2 * geometry.kv_heads * geometry.head_dim
    packed = geometry.width * (heads + pairs)
    rest = heads * geometry.width + 3 * geometry.width * geometry.intermediate
    layers = geometry.layers
    products = 2 * tokens * (layers * packed + (layers - 1) * rest)
    return products + (layers - 1) * 4 * attended * heads


def decoder_shape(geometry: DecoderGeometry) -> DecoderShape:
    """What the runtime has to know of its sizes."""
    return DecoderShape(
        layers=geometry.layers,
        width=geometry.width,
        heads=geometry.heads,
        kv_heads=geometry.kv_heads,
        head_dim=geometry.head_dim,
        vocabulary=geometry.vocabulary,
        rope_theta=geometry.rope_theta,
        mrope_section=geometry.mrope_section,
    )


def _text_config(geometry: DecoderGeometry) -> Qwen2_5_VLTextConfig:
    """transformers' config of a decoder, token ids aside."""
    with quiet():
        return Qwen2_5_VLTextConfig(
            hidden_size=geometry.width,
            num_hidden_layers=geometry.layers,
            num_attention_heads=geometry.heads,
            num_key_value_heads=geometry.kv_heads,
            intermediate_size=geometry.intermediate,
            vocab_size=geometry.vocabulary,
            rms_norm_eps=geometry.rms_epsilon,
            rope_parameters={
                "rope_type": "default",
                "rope_theta": geometry.rope_theta,
                "mrope_section": list(geometry.mrope_section),
            },
            bos_token_id=None,
            eos_token_id=None,
            attn_implementation="sdpa",
        )
