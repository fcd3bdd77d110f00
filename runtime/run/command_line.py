"""The command line of the live run."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from devices import numbers
from devices.catalog import device_names
from devices.microphone.device import PAGE
from devices.parser import Parser
from runtime.answers.questions import Question
from runtime.engines.choice import ENGINES
from runtime.run.options.voice import add_voice_options

MINI = Path(__file__).parents[1] / "mini"  # the bundle that is shipped
SYNTHETIC = "synthetic"
SERVED_AT = "127.0.0.1:8765"
SYNTHETIC_SECONDS = 30.0  # of a synthetic wearer, who would never end
WINDOW = numbers.number(0, 3600, above=True)  # seconds
RATE = numbers.number(0, 240, above=True)  # frames per second; no scene camera has more


@dataclass(frozen=True, slots=True)
class AskedQuestion:
    """A question of the command line. `at`: seconds from the start; None for the end."""

    question: Question
    at: float | None = None


class _AppendQuestion(argparse.Action):
    """`--ask` begins a question; `--options` and `--at` belong to the one before them."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option: str | None = None,
    ) -> None:
        asked = list(namespace.ask)
        if option == "--ask":
            asked.append(AskedQuestion(Question(str(values))))
        elif not asked:
            parser.error(f"{option} belongs to the --ask before it")
        elif option == "--at":
            asked[-1] = replace(asked[-1], at=values)
        else:
            texts = tuple(values) if isinstance(values, list) else ()
            asked[-1] = replace(asked[-1], question=replace(asked[-1].question, options=texts))
        namespace.ask = asked


def parse_arguments(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(
        prog="python -m runtime.live",
        description="Watch what a wearer sees and looks at, answer questions, raise alerts.",
    )
    parser.add_argument(
        "--bundle", type=Path, default=MINI, metavar="DIR", help="default: the shipped mini"
    )
    parser.add_argument("--device", default=SYNTHETIC, help=f"one of {', '.join(device_names())}")
    _add_device(parser.add_argument_group("device"))
    _add_questions(parser.add_argument_group("questions and alerts"))
    add_voice_options(parser.add_argument_group("voice"))
    _add_watching(parser.add_argument_group("how the stream is watched"))
    parser.add_argument(
        "--engine",
        choices=ENGINES,
        default="auto",
        help="what runs the bundle (default: the first of these that is there)",
    )
    parser.add_argument(
        "--gpu-memory",
        type=numbers.number(0.01),
        metavar="GIB",
        help="most that each graph takes on CUDA beside its weights (default: no limit)",
    )
    parser.add_argument("--record", type=Path, metavar="FILE", help="append JSON lines here")
    parser.add_argument(
        "--session", type=Path, metavar="DIR", help="save all that is received in a new folder"
    )
    parser.add_argument(
        "--session-frames",
        choices=("model", "whole"),
        default="model",
        help="saved as large as the model sees them (default), or as they came",
    )
    parser.add_argument(
        "--session-limit",
        type=numbers.number(0, above=True),
        default=20.0,
        metavar="GIB",
        help="its size at most",
    )
    _add_serving(parser.add_argument_group("for others"))
    parser.add_argument(
        "--rerun", metavar="FILE", help="draw the run for Rerun's viewer; 'connect': one that runs"
    )
    _add_diary(parser.add_argument_group("diary"))
    options = parser.parse_args(arguments)
    if options.seconds is None and options.device == SYNTHETIC:
        options.seconds = SYNTHETIC_SECONDS
    options.speak = options.speak or options.speak_with is not None
    options.listen = options.listen or options.microphone is not None
    if options.seconds == math.inf:
        options.seconds = None
    options.chose_address = options.serve is not None
    if options.chose_address and (options.fast or options.protocol == "released"):
        parser.error("--serve shows a run in real time, under --protocol causal")
    if options.chose_address and options.no_serve:
        parser.error("--serve and --no-serve: choose one")
    if options.encode_rate is not None and (options.fast or options.protocol == "released"):
        parser.error("--encode-rate is of a run in real time, under --protocol causal")
    is_demo = options.device == SYNTHETIC and not (options.fast or options.ask)
    if is_demo and not options.no_serve and not options.chose_address:
        options.serve = SERVED_AT
    if options.microphone == PAGE and options.serve is None:
        parser.error("--microphone page needs --serve")
    if options.tls is not None and options.serve is None:
        parser.error("--tls belongs to --serve")
    return options


def _said(text: str) -> str:
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty: say what to be told of")
    return text


def _field(text: str) -> tuple[float, float]:
    """A field of view: degrees across and down."""
    degrees = numbers.number(1, 179)
    across, cross, down = text.partition("x")
    if not cross:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no field of view: give two numbers, as 99x53"
        )
    return degrees(across), degrees(down)


def _add_device(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--path", type=Path, metavar="REC", help="a recording or a session")
    group.add_argument(
        "--recording", metavar="NAME", help="which one, where --path holds many recordings"
    )
    group.add_argument(
        "--strict", action="store_true", help="refuse a recording that can't be read as a whole"
    )
    group.add_argument(
        "--fixation-file", type=Path, metavar="CSV", help="of a plain video; or a folder to look in"
    )
    group.add_argument("--fast", action="store_true", help="play as fast as it goes")
    group.add_argument("--address", metavar="HOST:PORT", help="of a tracker; default: look for it")
    group.add_argument(
        "--transport",
        choices=("udp", "tcp"),
        help="of a Neon (default: udp until packets are lost)",
    )
    group.add_argument(
        "--undistort", action="store_true", help="a Neon's gaze as an ideal camera would see it"
    )
    group.add_argument(
        "--confidence",
        type=numbers.number(0, 1),
        metavar="P",
        help="of a Core: gaze below it is none (default 0.6)",
    )
    group.add_argument(
        "--field",
        type=_field,
        metavar="WxH",
        help="degrees that the scene camera sees (default: as known of the device, else 90 across)",
    )
    group.add_argument(
        "--seed", type=numbers.seed, default=0, help="of the synthetic wearer's world"
    )
    group.add_argument(
        "--seconds",
        type=numbers.number(0, numbers.MOST_SECONDS, above=True, endless=True),
        metavar="S",
        help=f"end after so long (default: {SYNTHETIC_SECONDS:g} for the synthetic wearer, "
        "else inf: not before the device does)",
    )


def _add_questions(group: argparse._ArgumentGroup) -> None:
    probability = numbers.number(0, 1)
    group.add_argument("--ask", action=_AppendQuestion, metavar="TEXT", default=[])
    group.add_argument(
        "--options", action=_AppendQuestion, nargs="+", metavar="TEXT", help="of the last --ask"
    )
    group.add_argument(
        "--at",
        action=_AppendQuestion,
        type=numbers.number(0, numbers.MOST_SECONDS),
        metavar="SECONDS",
        help="when the last --ask is asked (default: at the end)",
    )
    group.add_argument(
        "--alert",
        action="append",
        type=_said,
        default=[],
        metavar="TEXT",
        help="'Tell me when I look at ...'",
    )
    group.add_argument("--alert-threshold", type=probability, default=0.5, metavar="P")
    group.add_argument("--alert-release", type=probability, default=0.4, metavar="P")
    group.add_argument(
        "--alert-interval",
        type=numbers.number(0, numbers.MOST_SECONDS),
        default=3.0,
        metavar="SECONDS",
    )


def _add_diary(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--diary", type=Path, metavar="FILE", help="keep what is looked at, to be asked later"
    )
    group.add_argument("--diary-things", metavar="LIST", help="to choose from; else in free text")
    group.add_argument("--diary-pictures", choices=("yes", "no"), default="yes")
    group.add_argument(
        "--diary-limit",
        type=numbers.number(4, 1 << 20),
        default=1024.0,
        metavar="MIB",
        help="its size at most (default 1024); the oldest pictures go first",
    )


def _add_serving(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--serve",
        nargs="?",
        const=SERVED_AT,
        metavar="HOST:PORT",
        help=f"serve a page and an API (default: at {SERVED_AT} for the synthetic wearer)",
    )
    group.add_argument("--no-serve", action="store_true", help="serve nothing")
    group.add_argument(
        "--tls",
        nargs="+",
        metavar=("auto | CERT", "KEY"),
        help="serve over TLS: with these files, or as an authority made here once and kept vouches",
    )
    for kind in ("alert", "answer"):
        group.add_argument(
            f"--on-{kind}",
            action="append",
            default=[],
            metavar="URL",
            help=f"POST the record of every {kind} there",
        )
    group.add_argument(
        "--mqtt", metavar="URL", help="publish answers and alerts, as mqtt://HOST:1883/TOPIC"
    )


def _add_watching(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--protocol", choices=("causal", "released"), default="causal")
    group.add_argument("--gaze", choices=("yes", "none"), default="yes")
    group.add_argument(
        "--fixations",
        choices=("adaptive", "dispersion", "velocity", "device"),
        help="how fixations are found (default: as the bundle says)",
    )
    group.add_argument("--window", type=WINDOW, metavar="SECONDS", help="what is remembered")
    group.add_argument("--fps", type=RATE, metavar="RATE", help="frames per second sampled")
    group.add_argument(
        "--encode-rate",
        type=RATE,
        metavar="HZ",
        help="newest frames encoded per second at most, before anything waits for them (default: "
        "all that come, as far as half of the encoder's time suffices)",
    )
