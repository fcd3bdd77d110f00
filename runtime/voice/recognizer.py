"""Speech to text: one small door, behind it Moonshine or whatever model onnx-asr runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from devices.printable import printable
from runtime.errors import RuntimeFault
from runtime.priority import made_nicely

MOST_TEXT = 1000
"""Characters of an utterance."""
MOONSHINE_FILES = ("encoder_model.ort", "decoder_model_merged.ort", "tokenizer.bin")
ONNX_ASR_FILE = "config.json"
COVERED = 0.8


class Recognizer(Protocol):
    """Made once, then used by one thread."""

    def text(self, samples: NDArray[np.float32], rate: int) -> str:
        """What is said in `samples` (float32 mono, (n,)) of `rate` Hz; empty for no speech."""
        ...


class SpeechUnavailable(RuntimeFault):
    """There is no recogniser. One line: why, and what to do."""


def open_recognizer(folder: Path | None) -> Recognizer:
    """The recogniser in a folder, None for the one that ships in Moonshine's wheel.

    Raises SpeechUnavailable.
    """
    if folder is not None and not folder.is_dir():
        raise SpeechUnavailable(f"--speech-model {folder}: there is no such folder")
    is_moonshine = folder is None or all((folder / name).is_file() for name in MOONSHINE_FILES)
    if is_moonshine:
        return made_nicely(lambda: Moonshine(folder))
    if (folder / ONNX_ASR_FILE).is_file():
        return made_nicely(lambda: OnnxAsr(folder))
    raise SpeechUnavailable(
        f"--speech-model {folder}: not a speech model: give a Moonshine folder "
        f"({', '.join(MOONSHINE_FILES)}), or one that onnx-asr runs ({ONNX_ASR_FILE})"
    )


class Moonshine:
    """A Moonshine model, by default the small English one inside the wheel of moonshine-voice."""

    def __init__(self, folder: Path | None = None) -> None:
        """Raises SpeechUnavailable."""
        try:
            from moonshine_voice.errors import MoonshineError
            from moonshine_voice.moonshine_api import ModelArch
            from moonshine_voice.transcriber import Transcriber
            from moonshine_voice.utils import get_model_path
        except (ImportError, OSError) as error:
            raise SpeechUnavailable(
                "--listen needs the extra 'voice': pip install -e '.[voice]' "
                f"({printable(str(error), 80)})"
            ) from error
        self._fault = MoonshineError
        path = get_model_path("tiny-en") if folder is None else folder
        try:
            if folder is not None and "base" in folder.name:
                self._model = Transcriber(path, ModelArch.BASE)
            else:
                self._model = Transcriber(path, ModelArch.TINY)
        except (MoonshineError, OSError) as error:
            raise SpeechUnavailable(
                f"--speech-model {path}: it can't be loaded ({printable(str(error), 80)})"
            ) from error

    def text(self, samples: NDArray[np.float32], rate: int) -> str:
        try:
            lines = self._model.transcribe_without_streaming(samples.tolist(), rate).lines
        except self._fault as error:
            raise RuntimeFault(f"speech was not understood ({error})") from error
        spans = [(line.start_time, line.start_time + line.duration) for line in lines]
        said = (
            line.text.strip() for number, line in enumerate(lines) if not _is_covered(number, spans)
        )
        return printable(" ".join(filter(None, said)), MOST_TEXT)


def _is_covered(number: int, spans: Sequence[tuple[float, float]]) -> bool:
    """Whether a line is the beginning of another that was read from the same sound once more."""
    begin, end = spans[number]
    for other, (start, stop) in enumerate(spans):
        shared = min(end, stop) - max(begin, start)
        if other != number and stop - start > end - begin and shared > COVERED * (end - begin):
            return True
    return False


class OnnxAsr:
    """A model in a folder that onnx-asr runs on the ONNX Runtime that is there; text at 16 kHz."""

    RATE = 16_000

    def __init__(self, folder: Path) -> None:
        """Raises SpeechUnavailable."""
        try:
            import onnx_asr
        except ImportError as error:
            raise SpeechUnavailable(
                f"--speech-model {folder} needs onnx-asr: pip install onnx-asr"
            ) from error
        try:
            self._model = onnx_asr.load_model(folder.name, path=folder)
        except Exception as error:
            # What the library raises depends on what is wrong with the folder.
            reason = printable(str(error), 80)
            raise SpeechUnavailable(f"--speech-model {folder}: not loaded ({reason})") from error

    def text(self, samples: NDArray[np.float32], rate: int) -> str:
        count = round(samples.size * self.RATE / rate)
        places = np.arange(count) * (rate / self.RATE)
        wave = np.interp(places, np.arange(samples.size), samples).astype(np.float32)
        try:
            return printable(str(self._model.recognize(wave, sample_rate=self.RATE)), MOST_TEXT)
        except (RuntimeError, ValueError) as error:
            raise RuntimeFault(f"speech was not understood ({error})") from error
