"""The gaze resampler: features of a frame and a gaze encoding in, residuals out.

Source: the GazeQwen paper (arXiv 2603.25841) and its released checkpoint. One independent module
per injected decoder layer; the names of the parameters are those of the checkpoint.

`GazeResampler.forward` is the computation as published. `SceneHalf` and `GazeHalf` are the same
computation cut at the point where gaze enters, which is what gets compiled: the scene half runs
once per pair of frames, the gaze half once per gaze.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class ResamplerGeometry:
    """Sizes of the resampler, under the names of the checkpoint's config.

    `layers`: the decoder layer of every module, where it is another than in `spaced_layers`.
    """

    d_vjepa: int
    d_llm: int
    n_layers: int
    n_latents: int = 32
    d_latent: int = 256
    n_blocks: int = 2
    modules: int = 4
    layers: tuple[int, ...] | None = None

    @property
    def injected_layers(self) -> tuple[int, ...]:
        """The decoder layers (0-based) to whose output a residual is added, one per module."""
        return self.layers or spaced_layers(self.n_layers, self.modules)


def spaced_layers(layers: int, modules: int) -> tuple[int, ...]:
    """As many evenly spaced layers (0-based) as there are modules, the last one among them."""
    return tuple((module + 1) * layers // modules - 1 for module in range(modules))


class GazeResampler(nn.Module):
    """All modules of a checkpoint. Nothing here depends on the grid: N is any number of tokens."""

    def __init__(self, geometry: ResamplerGeometry) -> None:
        super().__init__()
        self.geometry = geometry
        modules, blocks, width = (
            range(geometry.modules),
            range(geometry.n_blocks),
            geometry.d_latent,
        )

        def projections() -> nn.ModuleList:
            return nn.ModuleList(
                nn.ModuleList(nn.Linear(width, width) for _ in blocks) for _ in modules
            )

        self.latents = nn.ParameterList(torch.randn(geometry.n_latents, width) for _ in modules)
        self.proj_ins = nn.ModuleList(
            nn.Linear(geometry.d_vjepa, width, bias=False) for _ in modules
        )
        self.q_projs, self.k_projs = projections(), projections()
        self.g_projs, self.v_projs = projections(), projections()
        self.ff_blocks = nn.ModuleList(
            nn.ModuleList(_feed_forward(width) for _ in blocks) for _ in modules
        )
        self.block_norms = nn.ModuleList(
            nn.ModuleList(nn.LayerNorm(width) for _ in blocks) for _ in modules
        )
        self.proj_outs = nn.ModuleList(
            nn.Linear(width, geometry.d_llm, bias=False) for _ in modules
        )
        self.amplitude = nn.Parameter(torch.ones(geometry.n_layers))

    def forward(self, features: Tensor, encoding: Tensor) -> Tensor:
        """(..., N, d_vjepa), (..., d_latent) -> residuals (modules, ..., N, d_llm)."""
        return torch.stack(
            [self.residual(module, features, encoding) for module in range(self.geometry.modules)]
        )

    def residual(self, module: int, features: Tensor, encoding: Tensor) -> Tensor:
        """The residual of one module, as the paper writes it: (..., N, d_llm)."""
        scale = 1.0 / math.sqrt(self.geometry.d_latent)
        visual = self.proj_ins[module](features)
        gaze = encoding.unsqueeze(-2).expand(*visual.shape)
        latents = self.latents[module].expand(*visual.shape[:-2], -1, -1)
        gaze = torch.cat([gaze, torch.zeros_like(latents)], dim=-2)
        for block in range(self.geometry.n_blocks):
            both = torch.cat([visual, latents], dim=-2)
            query = self.q_projs[module][block](latents)
            key = self.k_projs[module][block](both) + self.g_projs[module][block](gaze)
            value = self.v_projs[module][block](both)
            attention = torch.softmax(query @ key.transpose(-1, -2) * scale, dim=-1)
            latents = latents + attention @ value
            latents = self.block_norms[module][block](
                latents + self.ff_blocks[module][block](latents)
            )
        spread = torch.softmax(visual @ latents.transpose(-1, -2) * scale, dim=-1)
        layer = self.geometry.injected_layers[module]
        return self.proj_outs[module](spread @ latents) * self.amplitude[layer]


def _feed_forward(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
    )


class SceneHalf(nn.Module):
    """What is compiled of the resampler before gaze enters: everything built from features alone.

    The modules of the injected layers `kept` are batched; the last decoder layer's is not among
    them (its residual reaches no logit).
    """

    def __init__(self, resampler: GazeResampler, kept: tuple[int, ...]) -> None:
        super().__init__()
        modules = _modules_of(resampler, kept)
        self.project = nn.Parameter(
            torch.stack([resampler.proj_ins[module].weight.T for module in modules])
        )
        self.key = _StackedLinear(resampler.k_projs, modules)
        self.value = _StackedLinear(resampler.v_projs, modules)

    def forward(
        self, features: Tensor, tubelets: Tensor, rows: Tensor, columns: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Interpolate to one step and its grid, then project.

        features (tubelets, side, side, d_vjepa); tubelets (tubelets,), rows (H, side) and columns
        (W, side) hold the weights of the linear interpolation. Returns tokens (kept, N, d_latent),
        keys and values (kept, n_blocks, N, d_latent), N = H * W.
        """
        step = torch.tensordot(tubelets, features, dims=([0], [0]))
        step = torch.tensordot(rows, step, dims=([1], [0]))
        step = torch.matmul(columns, step)
        tokens = torch.matmul(step.flatten(0, 1), self.project)
        per_block = tokens.unsqueeze(1)
        return tokens, self.key(per_block), self.value(per_block)


class GazeHalf(nn.Module):
    """What is compiled of the resampler from where gaze enters: scene outputs to residuals.

    The latents are multiplied by the output projection before they are spread over the tokens:
    the same product, with a few dozen rows instead of one per token.
    """

    def __init__(self, resampler: GazeResampler, kept: tuple[int, ...]) -> None:
        super().__init__()
        size = resampler.geometry
        modules = _modules_of(resampler, kept)
        self.blocks = size.n_blocks
        self.scale = 1.0 / math.sqrt(size.d_latent)
        self.latents = nn.Parameter(torch.stack([resampler.latents[module] for module in modules]))
        self.query = _StackedLinear(resampler.q_projs, modules)
        self.key = _StackedLinear(resampler.k_projs, modules)
        self.gaze = _StackedLinear(resampler.g_projs, modules)
        self.value = _StackedLinear(resampler.v_projs, modules)
        feed_forward = [resampler.ff_blocks[module] for module in modules]
        self.enter = _StackedNorm([[block[0] for block in blocks] for blocks in feed_forward])
        self.widen = _StackedLinear([[block[1] for block in blocks] for blocks in feed_forward])
        self.narrow = _StackedLinear([[block[3] for block in blocks] for blocks in feed_forward])
        self.leave = _StackedNorm([resampler.block_norms[module] for module in modules])
        self.output = nn.Parameter(
            torch.stack(
                [
                    resampler.proj_outs[module].weight.T * resampler.amplitude[layer]
                    for module, layer in zip(modules, kept, strict=True)
                ]
            )
        )

    def forward(self, tokens: Tensor, keys: Tensor, values: Tensor, encoding: Tensor) -> Tensor:
        """Scene outputs as of `SceneHalf`, encoding (d_latent) -> residuals (kept, N, d_llm)."""
        latents = self.latents
        nowhere = torch.zeros_like(encoding)
        for block in range(self.blocks):
            query = self.query.one(block, latents)
            seen = keys[:, block] + self.gaze.one(block, encoding.expand(1, 1, -1))
            own = self.key.one(block, latents) + self.gaze.one(block, nowhere.expand(1, 1, -1))
            key = torch.cat([seen, own], dim=1)
            value = torch.cat([values[:, block], self.value.one(block, latents)], dim=1)
            attention = torch.softmax(query @ key.transpose(1, 2) * self.scale, dim=-1)
            latents = latents + attention @ value
            hidden = nn.functional.gelu(self.widen.one(block, self.enter(block, latents)))
            latents = self.leave(block, latents + self.narrow.one(block, hidden))
        spread = torch.softmax(tokens @ latents.transpose(1, 2) * self.scale, dim=-1)
        return spread @ (latents @ self.output)


def _modules_of(resampler: GazeResampler, kept: tuple[int, ...]) -> list[int]:
    return [resampler.geometry.injected_layers.index(layer) for layer in kept]


class _StackedLinear(nn.Module):
    """The same linear layer of several modules and blocks, as one batched product."""

    def __init__(
        self, layers: Sequence[Sequence[nn.Linear]], modules: Sequence[int] | None = None
    ) -> None:
        super().__init__()
        chosen = layers if modules is None else [layers[module] for module in modules]
        self.weight = nn.Parameter(
            torch.stack([torch.stack([block.weight.T for block in blocks]) for blocks in chosen])
        )
        self.bias = nn.Parameter(
            torch.stack([torch.stack([block.bias for block in blocks]) for blocks in chosen])
        )

    def forward(self, values: Tensor) -> Tensor:
        """(modules, 1, N, in) -> (modules, blocks, N, out)."""
        return values @ self.weight + self.bias.unsqueeze(2)

    def one(self, block: int, values: Tensor) -> Tensor:
        """(modules or 1, N, in) -> (modules, N, out), of one block."""
        return values @ self.weight[:, block] + self.bias[:, block].unsqueeze(1)


class _StackedNorm(nn.Module):
    """The same LayerNorm of several modules and blocks."""

    def __init__(self, norms: Sequence[Sequence[nn.LayerNorm]]) -> None:
        super().__init__()
        self.epsilon = norms[0][0].eps
        self.weight = nn.Parameter(
            torch.stack([torch.stack([norm.weight for norm in blocks]) for blocks in norms])
        )
        self.bias = nn.Parameter(
            torch.stack([torch.stack([norm.bias for norm in blocks]) for blocks in norms])
        )

    def forward(self, block: int, values: Tensor) -> Tensor:
        normal = nn.functional.layer_norm(values, values.shape[-1:], eps=self.epsilon)
        return normal * self.weight[:, block].unsqueeze(1) + self.bias[:, block].unsqueeze(1)
