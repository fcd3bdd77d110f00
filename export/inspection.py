"""What can be known of an export before anything of it is written, one function a question.

Each raises CheckpointError: one line that names the file and what in it is wrong.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer
from torch import Tensor

from export.checkpoints.common import CheckpointError, refuse_not_finite, refuse_pointer
from export.checkpoints.gaze import GazeCheckpoint
from export.checkpoints.injection import rules, spelled
from export.checkpoints.qwen import VISION, QwenCheckpoint
from export.graphs.precision.quantization import Linears
from export.graphs.weights import DecoderWeights
from export.modules.vjepa import VJepaEncoder
from runtime.bundle.manifest import Geometry, PositionRule, PromptPieces, Settings
from runtime.bundle.opening import read_tokenizer
from runtime.bundle.soundness import plan_complaints

READ_AS_THEY_ARE = ("*.json", "*.safetensors", "*.txt", "*.jinja")  # of a Qwen2.5-VL folder
GRAPH_BYTES = 1 << 20  # of the graph files, their weights aside

Progress = Callable[[float], None]


def check_place(folder: Path, qwen: Path, files: Iterable[Path], written: Iterable[str]) -> None:
    """Nothing that is read lies where something is written."""
    if qwen.is_dir() and folder.is_dir() and folder.samefile(qwen):
        raise CheckpointError(
            f"{folder}: --out is the Qwen2.5-VL folder itself: give another folder"
        )
    places = {(folder / name).resolve() for name in written}
    for path in files:
        if path.resolve() in places:
            raise CheckpointError(f"{path}: the bundle would take its place: give another --out")


def check_plan(
    folder: Path,
    name: str,
    geometry: Geometry,
    settings: Settings,
    prompt: PromptPieces,
    positions: PositionRule,
) -> None:
    """Whoever opens the bundle will find it sound, as far as is known before it is written."""
    for complaint in plan_complaints(name, geometry, settings, prompt, positions):
        raise CheckpointError(f"{folder}: nobody could open the bundle: {complaint}")


def check_fetched(qwen: Path) -> None:
    """No file of the folder is a pointer of git-lfs."""
    for pattern in READ_AS_THEY_ARE:
        for path in sorted(qwen.glob(pattern)):
            if path.is_file():
                refuse_pointer(path)


def fitting_tokenizer(path: Path, vocabulary: int) -> Tokenizer:
    """A tokenizer each of whose ids has one of the `vocabulary` rows of the embeddings."""
    if not path.is_file():
        raise CheckpointError(f"{path.parent}: it has no {path.name}")
    try:
        tokenizer = read_tokenizer(path)
    except Exception as error:  # the library raises nothing more precise
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{path}: not a tokenizer that can be read: {reason}") from error
    token, last = max(tokenizer.get_vocab(with_added_tokens=True).items(), key=lambda pair: pair[1])
    if last >= vocabulary:
        raise CheckpointError(
            f"{path}: its token {token!r} has the id {last}, and the embeddings have "
            f"{vocabulary} rows (0 to {vocabulary - 1}): the tokenizer is another model's, or "
            "tokens were added to it alone"
        )
    return tokenizer


def check_layers(gaze: GazeCheckpoint, path: Path) -> None:
    """It is known at which layers the resampler was trained, and what it adds reaches an answer."""
    size = gaze.resampler.geometry
    last, layers = size.n_layers - 1, gaze.injection.layers
    trained = [module for module in range(size.modules) if module not in gaze.dead]
    if all(layers[module] == last for module in trained):
        raise CheckpointError(
            f"{path}: only its module of the last layer ({last}) was trained, and what is added "
            "there reaches no answer: gaze would change nothing"
        )
    choices = [
        rule
        for rule in rules(size.n_layers, size.modules)
        if all(rule[module] <= last for module in trained)
    ]
    if gaze.injection.known_by == "assumed" and len(choices) > 1:
        given = " or ".join(f"--layers {spelled(layers)}" for layers in choices)
        raise CheckpointError(
            f"{path}: it does not tell at which layers it was trained (no amplitude moved, or all "
            f"did), and at a depth of {size.n_layers} there are two rules: give {given}"
        )


def check_numbers(
    qwen: QwenCheckpoint, weights: DecoderWeights, linears: Linears, progress: Progress
) -> None:
    """Every value is finite and stays so in the type that it is stored in, LoRA merged.

    One tensor at a time: it takes the time of reading the folder once. `progress` hears of the
    share that was read.
    """
    decoder, vision = qwen.decoder.shapes(), qwen.vision.shapes()
    total = len(decoder) + len(vision)
    for number, name in enumerate(decoder):
        progress(number / total)
        tensor = weights.tensor(name)
        refuse_not_finite(name, tensor, str(qwen.file_of(name)))
        _check_range(name, tensor, qwen.file_of(name), linears)
    for number, name in enumerate(vision, start=len(decoder)):
        progress(number / total)
        whole = VISION + name
        refuse_not_finite(whole, qwen.tensor(whole), str(qwen.file_of(whole)))


def _check_range(name: str, tensor: Tensor, file: Path, linears: Linears) -> None:
    kind = linears.stored_type(name)
    if kind is np.float32:
        return
    least, most = (value.item() for value in tensor.aminmax())
    largest = most if most > -least else least
    with np.errstate(over="ignore"):
        if np.isinf(np.float32(largest).astype(kind)):
            raise CheckpointError(
                f"{file}: {name} holds {largest:.4g}, more than {np.dtype(kind).name} can "
                f"({np.finfo(kind).max:.0f}): export with --quant float32"
            )


def needed_bytes(
    qwen: QwenCheckpoint, encoder: VJepaEncoder, gaze: GazeCheckpoint, kept: int, linears: Linears
) -> int:
    """What a bundle takes on the disk; `kept`: how many modules of the resampler."""
    decoder, resampler = qwen.decoder, gaze.resampler
    # The output matrix is stored even where it is the embeddings.
    stored = {**decoder.shapes(), "lm_head.weight": (decoder.vocabulary, decoder.width)}
    values = (
        sum(math.prod(shape) for shape in qwen.vision.shapes().values())
        + sum(weight.numel() for weight in encoder.parameters())
        + sum(weight.numel() for weight in resampler.parameters())
        * kept
        // resampler.geometry.modules
    )
    encoder = np.float16 if linears.precision.target == "cuda" else np.float32
    return (
        sum(linears.stored_bytes(name, shape) for name, shape in stored.items())
        + values * np.dtype(encoder).itemsize
        + GRAPH_BYTES
    )


def check_room(folder: Path, needed: int, replaced: Iterable[str]) -> None:
    """The disk holds `needed` bytes, with those of the files that will be replaced or kept."""
    there = next(each for each in (folder, *folder.resolve().parents) if each.is_dir())
    held = [folder / name for name in replaced if (folder / name).is_file()]
    room = shutil.disk_usage(there).free + sum(path.stat().st_size for path in held)
    if room < needed:
        raise CheckpointError(
            f"{folder}: {_spelled(needed)} are needed and {_spelled(room)} are free: make room "
            "or give another --out"
        )


def _spelled(size: int) -> str:
    return f"{size / 1e6:,.0f} MB" if size >= 1e8 else f"{size / 1e3:,.0f} kB"
