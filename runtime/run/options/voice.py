"""The options of what is asked and answered aloud."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from devices import numbers


def add_voice_options(group: argparse._ArgumentGroup) -> None:
    """To listen, and to speak."""
    group.add_argument(
        "--listen", action="store_true", help="take spoken questions (extra 'voice')"
    )
    group.add_argument(
        "--microphone",
        nargs="?",
        const="",
        metavar="NAME",
        help="listen with this computer's microphone (extra 'microphone'); 'page': with that of "
        "whoever holds the page's button",
    )
    group.add_argument(
        "--speech-model",
        type=Path,
        metavar="DIR",
        help="another Moonshine model, or one that onnx-asr runs",
    )
    group.add_argument(
        "--pause",
        type=numbers.number(0.3, 5),
        default=0.7,
        metavar="SECONDS",
        help="silence that ends what is said",
    )
    group.add_argument(
        "--wake", type=_word, metavar="WORD", help="only what begins with it is for the glasses"
    )
    group.add_argument("--speak", action="store_true", help="say answers and alerts aloud")
    group.add_argument(
        "--speak-with",
        metavar="COMMAND",
        help="what speaks the text on its standard input (default: espeak-ng, else spd-say)",
    )
    group.add_argument(
        "--speech-wav",
        metavar="COMMAND",
        help="what speaks for /v1/audio/speech: its standard input, as WAV on its standard output "
        "(default: espeak-ng)",
    )
    group.add_argument(
        "--duplex",
        choices=("half", "full"),
        default="half",
        help="full: the microphone does not hear the answers, and speaking ends them",
    )


def _word(text: str) -> str:
    """What is said before a question; raises ArgumentTypeError where nothing is."""
    if not re.search(r"\w", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no word that can be said")
    return text
