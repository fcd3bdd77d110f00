"""Traces the PyTorch modules that are compiled: V-JEPA and the two halves of the resampler."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import Dim

from export.graphs.graph_writer import OPSET
from export.graphs.model_file import save_model
from export.modules.resampler import GazeHalf, GazeResampler, SceneHalf
from export.modules.vjepa import HEAD_DIM, VJepaEncoder, VJepaGraph
from runtime.bundle import names

LARGEST_FRAME = 4096  # pixels along a side
LARGEST_SIDE = 128  # visual tokens along a side


def export_vjepa(encoder: VJepaEncoder, folder: Path) -> Path:
    """Write `vjepa.onnx`; frames of any size, resized inside. Returns the graph's path."""
    size = encoder.geometry
    places = torch.zeros(2 * size.pixels, dtype=torch.int64)
    inputs = {
        names.CLIP: torch.zeros(3, 56, 84, 3, dtype=torch.uint8),
        names.FRAME_ORDER: torch.zeros(size.tubelets, size.tubelet, dtype=torch.int64),
        names.ROW_PIXELS: places,
        names.ROW_SHARES: torch.zeros(size.pixels),
        names.COLUMN_PIXELS: places.clone(),
        names.COLUMN_SHARES: torch.zeros(size.pixels),
        names.CLIP_COS: torch.ones(size.tubelets, size.side**2, HEAD_DIM),
        names.CLIP_SIN: torch.zeros(size.tubelets, size.side**2, HEAD_DIM),
        names.WANTED_TUBELETS: torch.arange(3),
    }
    axes = {
        0: Dim("seen", min=1, max=size.frames),
        1: Dim("frame_height", min=14, max=LARGEST_FRAME),
        2: Dim("frame_width", min=14, max=LARGEST_FRAME),
    }
    clip = {0: Dim("clip_tubelets", min=1, max=size.tubelets)}
    dynamic = dict.fromkeys(inputs) | {
        names.CLIP: axes,
        names.FRAME_ORDER: clip,
        names.CLIP_COS: clip,
        names.CLIP_SIN: clip,
        names.WANTED_TUBELETS: {0: Dim("wanted", min=1, max=size.tubelets)},
    }
    graph = VJepaGraph(encoder)
    return _trace(graph, folder, names.VJEPA, inputs, dynamic, [names.TUBELET_FEATURES])


def export_scene_half(
    resampler: GazeResampler, encoder: VJepaEncoder, kept: tuple[int, ...], folder: Path
) -> Path:
    """Write `resampler.scene.onnx` for the injected layers `kept`; returns the graph's path."""
    size = encoder.geometry
    inputs = {
        names.TUBELET_FEATURES: torch.randn(3, size.side, size.side, size.width),
        names.TUBELET_WEIGHTS: torch.rand(3),
        names.ROW_WEIGHTS: torch.rand(5, size.side),
        names.COLUMN_WEIGHTS: torch.rand(7, size.side),
    }
    wanted = Dim("wanted", min=1, max=size.tubelets)
    dynamic = {
        names.TUBELET_FEATURES: {0: wanted},
        names.TUBELET_WEIGHTS: {0: wanted},
        names.ROW_WEIGHTS: {0: Dim("height", min=1, max=LARGEST_SIDE)},
        names.COLUMN_WEIGHTS: {0: Dim("width", min=1, max=LARGEST_SIDE)},
    }
    outputs = [names.SCENE_TOKENS, names.SCENE_KEYS, names.SCENE_VALUES]
    return _trace(SceneHalf(resampler, kept), folder, names.SCENE, inputs, dynamic, outputs)


def export_gaze_half(resampler: GazeResampler, kept: tuple[int, ...], folder: Path) -> Path:
    """Write `resampler.gaze.onnx` for the injected layers `kept`; returns the graph's path."""
    size, tokens = resampler.geometry, 35
    blocks = (len(kept), size.n_blocks, tokens, size.d_latent)
    inputs = {
        names.SCENE_TOKENS: torch.randn(len(kept), tokens, size.d_latent),
        names.SCENE_KEYS: torch.randn(blocks),
        names.SCENE_VALUES: torch.randn(blocks),
        names.GAZE_ENCODING: torch.randn(size.d_latent),
    }
    count = Dim("visual_tokens", min=1, max=LARGEST_SIDE**2)
    dynamic = {
        names.SCENE_TOKENS: {1: count},
        names.SCENE_KEYS: {2: count},
        names.SCENE_VALUES: {2: count},
        names.GAZE_ENCODING: None,
    }
    return _trace(GazeHalf(resampler, kept), folder, names.GAZE, inputs, dynamic, [names.RESIDUALS])


def _trace(
    module: nn.Module,
    folder: Path,
    name: str,
    inputs: dict[str, Tensor],
    dynamic: dict[str, dict[int, Dim] | None],
    outputs: list[str],
) -> Path:
    """Export with dynamic axes; weights go to `<name>.onnx.data`."""
    path = folder / f"{name}.onnx"
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module.eval(),
            tuple(inputs.values()),
            dynamo=True,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=outputs,
            dynamic_shapes=tuple(dynamic.values()),
            verbose=False,
        )
    save_model(program.model_proto, path)
    return path
