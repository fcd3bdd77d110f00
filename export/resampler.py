"""The gaze resampler: features of a frame and a gaze encoding in, residuals out.

Source: the GazeQwen paper (arXiv 2603.25841) and its released checkpoint. One independent module
per injected decoder layer; the names of the parameters are those of the checkpoint.

`GazeResampler.forward` is the computation as published. `SceneHalf` and `GazeHalf` are the same
computation cut at the point where gaze enters, which is what gets compiled: the scene half runs
once per pair of frames, the gaze half once per gaze.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class ResamplerGeometry:
    """Sizes of the resampler, under the names of the checkpoint's config."""

    d_vjepa: int
    d_llm: int
    n_layers: int
    n_latents: int = 32
    d_latent: int = 256
    n_blocks: int = 2
    modules: int = 4

    @property
    def injected_layers(self) -> tuple[int, ...]:
        """The decoder layers (0-based) to whose output a residual is added, one per module."""
        return tuple(
            (module + 1) * self.n_layers // self.modules - 1 for module in range(self.modules)
        )


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
