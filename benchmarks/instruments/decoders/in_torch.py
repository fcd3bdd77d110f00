"""The decoder in PyTorch: transformers' text model with its growing cache, and hooks if wanted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import DynamicCache, Qwen2_5_VLTextConfig
from transformers.models.qwen2_5_vl.modeling_qwen2_5_vl import Qwen2_5_VLTextModel

from benchmarks.instruments.decoders.workload import (
    HEAD,
    DrawnWeights,
    Workload,
    injected_layers,
    seconds,
)
from export.checkpoints.qwen_config import DecoderGeometry
from export.parity.reading.transformers_reading import quiet
from export.parity.reference import ReferenceStep, injection

NAME = "PyTorch bf16"


class TorchModel:
    """The weights, which several decoders may share."""

    def __init__(self, geometry: DecoderGeometry, dtype: torch.dtype = torch.bfloat16) -> None:
        weights = DrawnWeights(geometry)
        self.geometry, self.dtype = geometry, dtype
        self.layers = Qwen2_5_VLTextModel(text_config(geometry)).to(dtype).eval()
        for name, parameter in self.layers.named_parameters():
            parameter.requires_grad_(False).copy_(weights.tensor(name))
        self.head = weights.tensor(HEAD, dtype)


class TorchDecoder:
    """See `Decoder`. In bf16, unless the model is of another type."""

    def __init__(
        self, model: TorchModel, workload: Workload, hooks: bool = False, name: str = NAME
    ) -> None:
        """`hooks`: the residuals are added as the released code adds them.

        Its hooks stay while tokens are generated, and find none to add anything to.
        """
        self.name, self._model, self._work = name, model, workload
        head = model.head.numel()
        layers = sum(
            each.numel() for n, each in model.layers.named_parameters() if "embed" not in n
        )
        self.stored = (layers + head) * model.dtype.itemsize
        self._residuals = torch.from_numpy(workload.residuals) if hooks else None
        self._cache = DynamicCache()

    def clear(self) -> None:
        """See `Decoder`."""
        self._cache = DynamicCache()

    @torch.inference_mode()
    def append(self, step: int) -> float:
        """See `Decoder`."""
        given = self._given(self._work.tokens_of(step))
        return seconds(lambda: self._run(given))

    @torch.inference_mode()
    def decode(self) -> float:
        """See `Decoder`."""
        given = self._given(self._work.answer[:1])
        spent = seconds(lambda: (self._run(given, hooked=False) @ self._model.head.T).float())
        self._cache.crop(-1)
        return spent

    @torch.inference_mode()
    def follow(self) -> NDArray[np.float32]:
        """See `Decoder`."""
        hidden = self._run(self._given(self._work.answer), hooked=False)
        self._cache.crop(-len(hidden))
        return (hidden @ self._model.head.T).float().numpy()

    def _given(self, tokens: NDArray[np.int64]) -> torch.Tensor:
        return torch.from_numpy(self._work.embedded(tokens)).to(self._model.dtype)

    def _run(self, embeddings: torch.Tensor, hooked: bool = True) -> torch.Tensor:
        """Hidden states (tokens, D); `hooked`: these tokens are visual ones."""
        past = self._cache.get_seq_length()
        places = torch.arange(past, past + len(embeddings)).expand(3, 1, -1)
        with self._hooks(len(embeddings) if hooked else 0):
            output = self._model.layers(
                inputs_embeds=embeddings[None],
                position_ids=places,
                past_key_values=self._cache,
                use_cache=True,
            )
        return output.last_hidden_state[0]

    @contextmanager
    def _hooks(self, tokens: int) -> Iterator[None]:
        """Hooks that add the residuals of so many visual tokens."""
        if self._residuals is None:
            yield
            return
        layers, injected = self._model.layers.layers, injected_layers(self._model.geometry)
        shown = self._residuals[:, :tokens]
        step = ReferenceStep(shown[0], shown, (1, tokens))
        with injection(layers, injected, 0, [step]):
            yield


def text_config(geometry: DecoderGeometry) -> Qwen2_5_VLTextConfig:
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
