"""`python -m runtime.live`: watch a device, answer questions about what is looked at."""

from __future__ import annotations

import argparse
import sys
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from devices.catalog import DeviceOptions, device_names, open_device
from devices.clock import NANOSECONDS
from devices.device import Device, DeviceError, DeviceInfo
from devices.recording import FrameReader, RecordingDevice
from runtime.bundle import Bundle
from runtime.console import Screen
from runtime.errors import QuestionError, RuntimeFault
from runtime.models import Models
from runtime.questions import Question
from runtime.record import AnswerRecord, Recorder
from runtime.released import ReleasedSession
from runtime.session import Session, SessionOptions

TICK = int(0.01 * NANOSECONDS)  # between two looks at the device


@dataclass(frozen=True, slots=True)
class AskedQuestion:
    """A question of the command line. `at`: seconds from the start; None for the end."""

    question: Question
    at: float | None = None


@dataclass(frozen=True, slots=True)
class DueQuestion:
    """A question and the moment at which it is asked, Unix ns."""

    question: Question
    moment: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; returns the exit status."""
    options = parse_arguments(arguments)
    try:
        return run(options, Screen())
    except (RuntimeFault, DeviceError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


def run(options: argparse.Namespace, screen: Screen) -> int:
    """Open everything, watch, and close everything."""
    bundle = Bundle.open(options.bundle)
    device = open_device(options.device, device_options(options))
    models = Models(bundle)
    with device as info:
        due = due_questions(options.ask, info)
        recorder = Recorder(options.record)
        try:
            session = make_session(options, models, device, info, screen)
            screen.opened(bundle.manifest, models.engine_name, info, session.options)

            def finished(record: AnswerRecord) -> None:
                recorder.write(record)
                screen.answer(record)

            watch(device, session, due, finished, screen.notice)
        finally:
            recorder.close()
    return 0


def watch(
    device: Device,
    session: Session | ReleasedSession,
    due: Sequence[DueQuestion],
    finished: Callable[[AnswerRecord], None],
    notice: Callable[[str], None],
) -> None:
    """Feed the session until the device has ended and every question is answered."""
    pending = deque(sorted(due, key=lambda question: question.moment))
    while True:
        now = device.clock.now()
        delivery = device.poll()
        for line in delivery.notices:
            notice(line)
        session.receive(delivery, now)
        while pending and pending[0].moment <= now and session.ready(pending[0].moment):
            asked = pending.popleft()
            session.advance(asked.moment)
            finished(session.ask(asked.question, asked.moment))
        session.advance(now)
        if not pending and (delivery.ended or due):
            return
        device.clock.sleep_until(now + TICK)


def due_questions(asked: Sequence[AskedQuestion], info: DeviceInfo) -> list[DueQuestion]:
    """When each question is asked. Raises QuestionError for a time outside the recording."""
    start, end = info.starts_at, info.ends_at
    if start is None:
        raise QuestionError("this device has no start to count --at from")
    due = []
    for question in asked:
        moment = end if question.at is None else start + round(question.at * NANOSECONDS)
        if moment is None:
            raise QuestionError("a live device has no end: say when to ask, with --at SECONDS")
        if moment < start or (end is not None and moment > end):
            length = "" if end is None else f", which is {(end - start) / NANOSECONDS:.2f} s long"
            raise QuestionError(f"--at {question.at:g} lies outside the recording{length}")
        due.append(DueQuestion(question.question, moment))
    return due


def make_session(
    options: argparse.Namespace, models: Models, device: Device, info: DeviceInfo, screen: Screen
) -> Session | ReleasedSession:
    """The session of the protocol asked for."""
    chosen = SessionOptions.of(
        models.bundle.manifest.settings,
        info,
        rule=options.fixations,
        window=options.window,
        rate=options.fps,
        use_gaze=options.gaze == "yes",
    )
    if options.protocol == "released":
        if not isinstance(device, RecordingDevice):
            raise RuntimeFault("--protocol released needs --device recording: it samples the past")
        recording = device.description
        read = FrameReader(recording.video).frames
        return ReleasedSession(
            models, recording.frame_times, read, info, chosen, device.counts, screen.text
        )
    return Session(models, info, chosen, device.counts, screen.text)


def device_options(options: argparse.Namespace) -> DeviceOptions:
    """What the command line says of the device."""
    fixations = (options.fixation_file,) if options.fixation_file else ()
    return DeviceOptions(path=options.path, fixations=fixations, fast=options.fast)


class _AppendQuestion(argparse.Action):
    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option: str | None = None,
    ) -> None:
        asked = list(getattr(namespace, "ask", None) or [])
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
    parser = argparse.ArgumentParser(
        prog="python -m runtime.live",
        description="Watch what a wearer sees and looks at, and answer questions about it.",
    )
    parser.add_argument("--bundle", type=Path, required=True, metavar="DIR", help="engine bundle")
    parser.add_argument("--device", required=True, help=f"one of {', '.join(device_names())}")
    parser.add_argument("--path", type=Path, metavar="REC", help="recording: folder or video")
    parser.add_argument("--fixation-file", type=Path, metavar="CSV", help="beside a plain video")
    parser.add_argument("--fast", action="store_true", help="play a recording as fast as it goes")
    parser.add_argument("--ask", action=_AppendQuestion, metavar="TEXT", default=[])
    parser.add_argument(
        "--options", action=_AppendQuestion, nargs="+", metavar="TEXT", help="of the last --ask"
    )
    parser.add_argument(
        "--at",
        action=_AppendQuestion,
        type=float,
        metavar="SECONDS",
        help="when the last --ask is asked (default: at the end)",
    )
    parser.add_argument("--protocol", choices=("causal", "released"), default="causal")
    parser.add_argument("--gaze", choices=("yes", "none"), default="yes")
    parser.add_argument(
        "--fixations",
        choices=("dispersion", "velocity", "device"),
        help="how fixations are found (default: as the bundle says)",
    )
    parser.add_argument("--window", type=float, metavar="SECONDS", help="what is remembered")
    parser.add_argument("--fps", type=float, metavar="RATE", help="frames per second sampled")
    parser.add_argument("--record", type=Path, metavar="FILE", help="append JSON lines here")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
