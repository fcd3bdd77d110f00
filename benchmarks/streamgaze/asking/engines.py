"""The engine of a run: the bundle's graphs, or PyTorch with the checkpoints they were made from."""

from __future__ import annotations

import argparse

from benchmarks.streamgaze.data.dataset import DataSetError
from runtime.bundle.opening import Bundle
from runtime.engines.choice import ENGINES as COMPILED
from runtime.engines.choice import Machine
from runtime.model.models import Models
from runtime.model.opening import open_models

ENGINES = (*COMPILED, "torch")
PROFILES = {"causal": "live", "released": "evaluation"}  # sizes that TensorRT engines are built for


def load_models(options: argparse.Namespace) -> Models:
    """The models that the command line asks for.

    Raises RuntimeFault for a bundle, DataSetError for checkpoints that can't be used.
    """
    bundle = Bundle.open(options.bundle)
    if options.engine != "torch":
        profile = PROFILES[options.protocol]
        return open_models(options.engine, bundle, Machine.here(), profile, options.threads).models
    given = (options.qwen, options.vjepa, options.gaze_checkpoint)
    if not all(given):
        raise DataSetError("--engine torch needs --qwen, --vjepa and --gaze-checkpoint")
    try:
        # PyTorch is an extra, and takes seconds to import.
        from export.checkpoints.common import CheckpointError
        from export.parity.torch_models import TorchModels
    except ImportError as error:
        raise DataSetError(
            f"--engine torch needs the extra 'export': {error.name} is not installed"
        ) from error
    try:
        return TorchModels.load(bundle, *given)
    except CheckpointError as error:
        raise DataSetError(str(error)) from error
