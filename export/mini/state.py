"""The state of a training that may be interrupted: one file, replaced whole."""

from __future__ import annotations

from pathlib import Path

import torch

from export.checkpoints.common import CheckpointError, write_tensor_file
from export.mini.training import Trainer

STATE_FILE = "training-state.pt"


def save_state(trainer: Trainer, folder: Path) -> None:
    """Write the state so that there is a whole one at any moment."""
    folder.mkdir(parents=True, exist_ok=True)
    write_tensor_file(folder / STATE_FILE, trainer.state())


def load_state(trainer: Trainer, folder: Path) -> bool:
    """Go on from the state in a folder; False where there is none.

    Raises CheckpointError for a state of another plan or that can't be read.
    """
    path = folder / STATE_FILE
    if not path.is_file():
        return False
    try:
        state = torch.load(path, weights_only=True)
        trainer.restore(state)
    except (RuntimeError, ValueError, KeyError, TypeError, EOFError) as error:
        raise CheckpointError(
            f"{path}: not the state of this training: remove it to start anew"
        ) from error
    return True
