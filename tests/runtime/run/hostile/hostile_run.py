"""The whole live loop against a phone that lies at random, with quiet moments in between.

`python tests/runtime/run/hostile/hostile_run.py --seconds 600`: prints what came of it; exit
status 1 if it did not hold. The phone plays a synthetic wearer; in every round of 20 s it lies and
fails for the first part, in the second it is honest and is asked what it knows the answer to.
"""

import argparse
import math
import random
import resource
import struct
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path

TESTS = Path(__file__).parents[3]
if __name__ == "__main__":
    folders = ("runtime", "runtime/run", "devices/neon", "devices/neon/hostile")
    sys.path[:0] = [str(TESTS.parent), *(str(TESTS / folder) for folder in folders)]

from hostile_phone import HostilePhone, of_method, of_status, response, sequence_parameters
from loop_runner import run_loop

from devices.clock import NANOSECONDS, SimulatedClock
from devices.emulator.programmes.drawn import draw_wearer
from devices.neon import wire
from devices.neon.device import NeonDevice
from devices.samples import KnownQuestion
from devices.synthetic.asking import PAST
from devices.synthetic.device import SyntheticDevice
from runtime.answers.questions import known_question
from runtime.answers.record import SecondRecord
from runtime.bundle.opening import Bundle
from runtime.engines.engine import OnnxEngine
from runtime.model.models import Models
from runtime.run.command_line import MINI

ROUND, LYING, SETTLING = 20.0, 8.0, 3.5
"""Seconds: of a round, of its part with lies, and from there to the first question."""
FAULTS = (
    "loss", "burst", "reorder", "duplicate", "jitter", "garbage", "corrupt", "gaze-size",
    "report-missing", "clock-step", "camera-stall", "gaze-stall", "off", "blink", "unplugged",
    "refuse", "reset", "half-open",
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What came of a run; `memory` in MiB at every second, `right` of `asked` in quiet moments."""

    summary: dict
    memory: list
    asked: int
    right: int
    lies: int
    threads: int

    @property
    def growth(self):
        """MiB from the median of the second fifth to that of the last."""
        fifth = len(self.memory) // 5
        early, late = sorted(self.memory[fifth : 2 * fifth]), sorted(self.memory[-fifth:])
        return late[len(late) // 2] - early[len(early) // 2] if fifth else 0.0

    def complaints(self):
        """What did not hold, a line each."""
        for noun in ("frames", "gaze"):
            fact = self.summary[noun]
            if fact["received"] != fact["used"] + sum(fact["dropped"].values()):
                yield f"{noun} do not add up: {fact}"
        if self.right < 0.75 * self.asked:
            yield f"only {self.right} of {self.asked} right"
        if self.growth > 12:
            yield f"memory grew by {self.growth:.1f} MiB"
        if self.threads:
            yield f"{self.threads} threads are left"


class Liar:
    """Makes a phone lie, in its own thread, in the first part of every round."""

    def __init__(self, phone, seed, seconds):
        self._phone, self._draw, self._seconds = phone, random.Random(seed), seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="liar")
        self.told = 0

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _run(self):
        while not self._stop.wait(0.02):
            within = self._phone.elapsed() % ROUND
            left = LYING - within
            if within < 1.0 or left < 0.3 or self._phone.elapsed() > self._seconds - 1:
                continue
            length = min(left, self._draw.uniform(0.3, 1.5))
            self._draw.choice((self._fault, self._answer, self._packets, self._status))(length)
            self.told += 1
            self._stop.wait(length)
            self._phone.lies.stop()

    def _fault(self, length):
        name = self._draw.choice(FAULTS)
        value = {"gaze-size": 11.0, "clock-step": self._draw.choice((-2.0, 0.3, 2.0))}
        shares = {"loss", "burst", "reorder", "duplicate", "garbage", "corrupt", "jitter"}
        share = 0.05 if name in shares else 1.0
        self._phone.inject(name, value.get(name, share), 0.1 if name == "reset" else length)

    def _answer(self, length):
        draw = self._draw

        def damage(honest):
            said = bytearray(honest)
            for _ in range(draw.randint(1, 8)):
                said[draw.randrange(len(said))] = draw.randrange(256)
            return bytes(said)

        sps = sequence_parameters(draw.choice((16, 160, 2**24 + 16)), 120, draw.choice((4, 33)))
        changes = (
            damage,
            lambda a: a.replace(b"Content-Length: ", b"Content-Length: -"),
            lambda a: a.replace(b"Content-Length: ", b"Content-Length: 9999"),
            lambda a: a.replace(b"200 OK", draw.choice((b"404 No", b"453 \x1b[2J", b"500 \n"))),
            lambda a: a.replace(b"/90000", draw.choice((b"/0", b"/99999999", b"/"))),
            lambda a: a.replace(b"sprop-parameter-sets=", b"sprop-parameter-sets=!!!!"),
            lambda a: a.replace(b"\r\n\r\n", b"\r\n" + b"X: y\r\n" * 9000),
            lambda a: b"RTSP/1.0 200 OK\r\nX: " + sps + b"x" * 100_000,
        )
        method = draw.choice(("OPTIONS", "DESCRIBE", "SETUP", "PLAY"))
        self._phone.lies.flood = draw.choice((b"", b"", b"$" * 2000, b"RTSP/1.0 200 "))
        self._phone.lies.answer = of_method(method, draw.choice(changes))
        self._phone.inject("reset")

    def _packets(self, length):
        draw = self._draw
        numbers = (math.nan, math.inf, -math.inf, 3e38, 1e7)

        def lie(camera, which, honest):
            if draw.random() > 0.2:
                return [honest]
            if which == 1:
                report = wire.parse_sender_report(honest)
                moment = draw.choice((1, 2**40, report.moment + 10**12))
                return [
                    replace(report, source=draw.choice((report.source, 5)), moment=moment).packed()
                ]
            packet = wire.parse_rtp(honest)
            kinds = {
                "gaze": struct.pack("!ffB", draw.choice(numbers), 1.0, 255),
                "eye_events": struct.pack("!iqq", 4, draw.choice((-1, 2**63 - 1)), 5),
                "world": draw.randbytes(draw.randint(1, 900)),
            }
            spoiled = replace(packet, payload=kinds[camera])
            foreign = replace(spoiled, source=draw.getrandbits(32))
            return draw.choice(
                ([spoiled.packed()], [honest, foreign.packed()], [draw.randbytes(40)], [])
            )

        self._phone.lies.packet = lie

    def _status(self, length):
        draw = self._draw

        def change(components):
            data = draw.choice(components)["data"]
            data[draw.choice(list(data))] = draw.choice(
                (None, -1, 70000, 10**400, {"a": 1}, [], "\x1b[2J\n\ud800", "x" * 10_000, 1e308)
            )

        self._phone.lies.http = draw.choice(
            (
                of_status(change),
                lambda path, honest: response(b"[" * 100_000),
                lambda path, honest: honest[: draw.randrange(len(honest))],
                lambda path, honest: [response(b"", length=10**8), *[b" " * 2**20] * 100],
            )
        )
        self._phone.lies.echo = draw.choice(
            (lambda honest: honest, lambda honest: honest[:8] + b"\xff" * 8, lambda honest: b"")
        )
        self._phone.inject("reset")


def known_questions(seed):
    """What the wearer asks in a round about the present: (seconds, question). Of the past she was
    not seen while the phone lied."""
    clock = SimulatedClock(0)
    device = SyntheticDevice(seed, ROUND, clock, question_every=0.5)
    device.connect()
    found, ended = [], False
    while not ended:
        delivery = device.poll()
        known = [s for s in delivery.samples if isinstance(s, KnownQuestion)]
        found += [question for question in known if question.task not in PAST]
        ended = delivery.ended
        clock.sleep_until(clock.now() + 10_000_000)
    quiet = [s for s in found if s.captured_at / 1e9 >= LYING + SETTLING]
    return [(s.captured_at, known_question(s)) for s in quiet]


def resident():
    with Path("/proc/self/statm").open() as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 2**20


def run(seconds, seed, folder):
    """Run; ends by itself."""
    threads = threading.active_count()
    models = Models(Bundle.open(MINI), lambda path: OnnxEngine(path, threads=1))
    memory, known, programme = [], known_questions(seed), draw_wearer(seed, ROUND)

    def hear(news):
        if isinstance(news, SecondRecord):
            memory.append(resident())

    with HostilePhone(programme, seed=seed) as phone:
        device = NeonDevice(f"{phone.address}:{phone.port}")
        asked = [
            (question, phone.started_at + turn * round(ROUND * NANOSECONDS) + moment)
            for turn in range(math.ceil(seconds / ROUND))
            for moment, question in known
            if turn * ROUND + moment / 1e9 < seconds - 0.5
        ]
        end = time.monotonic() + seconds
        with Liar(phone, seed, seconds) as liar:
            found = run_loop(
                models,
                device,
                folder / "hostile.jsonl",
                asked,
                over=lambda: time.monotonic() > end,
                start=0,
                listener=hear,
            )
    right = sum(each["answer"] == each["truth"] for each in found["answer"])
    (summary,) = found["summary"]
    left = threading.active_count() - threads
    return Outcome(summary, memory, len(asked), right, liar.told, max(0, left - 1))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcome = run(options.seconds, options.seed, Path(folder))
    print(
        f"{outcome.lies} lies; {outcome.right} of {outcome.asked} right; memory "
        f"{outcome.memory[0]:.0f} to {outcome.memory[-1]:.0f} MiB, growth {outcome.growth:.1f}"
    )
    every = max(1, len(outcome.memory) // 20)
    print("MiB", *(f"{resident:.0f}" for resident in outcome.memory[::every]))
    complaints = list(outcome.complaints())
    print("\n".join(complaints) or "it held")
    return bool(complaints)


if __name__ == "__main__":
    sys.exit(main())
