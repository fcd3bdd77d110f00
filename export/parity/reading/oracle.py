"""The oracle of an export: everything of the checkpoints read a second time, not by our code."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from export.checkpoints.pictures import PictureRule
from export.checkpoints.qwen import QwenCheckpoint
from export.graphs.weights import DecoderWeights
from export.modules.resampler import GazeResampler
from export.modules.vjepa import VJepaEncoder
from export.parity.reading.pictures import Pictures, compare_pictures
from export.parity.reading.positions import compare_positions
from export.parity.reading.released_encoder import ReleasedEncoder
from export.parity.reading.released_gaze import ReleasedGaze
from export.parity.reading.second_readings import compare_encoder, compare_gaze
from export.parity.reading.tensors import compare_config, compare_tensors
from export.parity.reading.text import checkpoint_tokenizer, compare_text
from export.parity.reading.transformers_reading import TransformersReading
from runtime.bundle.manifest import DecoderShape, ParityFigure, PositionRule, PromptPieces


@dataclass(frozen=True, eq=False)
class OurReading:
    """What an export is made from, as our code reads it. `live`: pixels of a live frame."""

    qwen: QwenCheckpoint
    weights: DecoderWeights
    vjepa: VJepaEncoder
    resampler: GazeResampler
    pictures: PictureRule
    tokenizer: Tokenizer
    prompt: PromptPieces
    decoder: DecoderShape
    positions: PositionRule
    live: tuple[int, int]


@dataclass(frozen=True, eq=False)
class Oracle:
    """The same files as transformers and peft read them, or a second reading where they can't."""

    folder: Path
    reading: TransformersReading
    encoder_file: Path
    pixels: int
    gaze: ReleasedGaze
    pictures: Pictures
    tokenizer: Any

    @classmethod
    def read(
        cls, qwen: Path, vjepa: Path, pixels: int, gaze: Path, injected_layers: tuple[int, ...]
    ) -> Oracle:
        """`pixels` of the encoder's frames and `injected_layers` are said by no file.

        Raises CheckpointError where transformers can't read the folder.
        """
        return cls(
            qwen,
            TransformersReading.of(qwen),
            vjepa,
            pixels,
            ReleasedGaze(gaze, injected_layers),
            Pictures(qwen),
            checkpoint_tokenizer(qwen),
        )

    def encoder(self) -> ReleasedEncoder:
        """V-JEPA, read anew: it is large, and needed now and then."""
        return ReleasedEncoder(self.encoder_file, self.pixels)

    def compare(self, ours: OurReading) -> Iterator[ParityFigure]:
        """Reading with reading and text with text: nothing here is rounded or compiled."""
        model = self.reading.model
        yield from compare_config(ours.qwen, model)
        yield from compare_positions(ours.decoder, ours.positions, ours.prompt, model)
        stops = model.generation_config.eos_token_id
        yield from compare_text(ours.tokenizer, ours.prompt, self.tokenizer, stops)
        yield from compare_pictures(ours.pictures, self.pictures, ours.live)
        yield from compare_encoder(ours.vjepa, self.encoder())
        yield from compare_gaze(ours.resampler, self.gaze)
        yield from compare_tensors(ours.qwen, ours.weights, self.reading, self.gaze)
