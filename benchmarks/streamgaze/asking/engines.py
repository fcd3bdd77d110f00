"""The engine of a run: the bundle's graphs, or PyTorch with the checkpoints they were made from.

`as-cuda` shows without a GPU what the rounding of a bundle for CUDA does to answers.
"""

from __future__ import annotations

import argparse
from functools import partial

from benchmarks.streamgaze.data.dataset import DataSetError
from runtime.bundle.opening import Bundle
from runtime.engines.choice import ENGINES as COMPILED
from runtime.engines.choice import Machine
from runtime.model.models import Models
from runtime.model.opening import open_models

ENGINES = (*COMPILED, "as-cuda", "torch")
PROFILES = {"causal": "live", "released": "evaluation"}  # sizes that TensorRT engines are built for


def load_models(options: argparse.Namespace) -> Models:
    """The models that the command line asks for.

    Raises RuntimeFault for a bundle, DataSetError for checkpoints that can't be used.
    """
    bundle = Bundle.open(options.bundle)
    if options.engine in COMPILED:
        profile = PROFILES[options.protocol]
        return open_models(options.engine, bundle, Machine.here(), profile, options.threads).models
    try:
        return _rounded(bundle, options) if options.engine == "as-cuda" else _torch(bundle, options)
    except ImportError as error:
        # PyTorch and onnx are an extra.
        raise DataSetError(
            f"--engine {options.engine} needs the extra 'export': {error.name} is not installed"
        ) from error


def _rounded(bundle: Bundle, options: argparse.Namespace) -> Models:
    if bundle.manifest.target != "cuda":
        raise DataSetError(f"--engine as-cuda: {bundle.folder} was not exported with --target cuda")
    from export.graphs.precision.narrowing import cpu_engine

    models = Models(bundle, partial(cpu_engine, threads=options.threads))
    models.engine_name += ", as CUDA rounds"
    return models


def _torch(bundle: Bundle, options: argparse.Namespace) -> Models:
    given = (options.qwen, options.vjepa, options.gaze_checkpoint)
    if not all(given):
        raise DataSetError("--engine torch needs --qwen, --vjepa and --gaze-checkpoint")
    from export.checkpoints.common import CheckpointError
    from export.parity.torch_models import TorchModels

    try:
        return TorchModels.load(bundle, *given)
    except CheckpointError as error:
        raise DataSetError(str(error)) from error
