"""What a person sees. Everything is printed from the records."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.status import Status
from rich.table import Table
from rich.text import Text

from devices.device import DeviceInfo
from devices.printable import printable
from runtime.answers.heard import HeardRecord
from runtime.answers.listeners import News, Notice, Piece
from runtime.answers.questions import LETTERS, lettered
from runtime.answers.record import AlertRecord, AnswerRecord, SecondRecord, SummaryRecord
from runtime.answers.session import SessionOptions
from runtime.bundle.manifest import Manifest
from runtime.printing import unhindered
from runtime.terminal import SafeConsole

LONGEST = 1000  # characters of a line, more of which would only push the others away


class Screen:
    """Prints to a console; free text appears as it is generated.

    All text is printed as plain text in one line, whatever marks it holds. Nothing here waits for
    whoever reads it, but for `close`.
    """

    def __init__(self, console: Console | None = None) -> None:
        """`console`: instead of one on standard output."""
        self._console = console or SafeConsole(unhindered(sys.stdout))
        self._streaming = False
        self._status: Status | None = None
        self._second: SecondRecord | None = None

    def opened(
        self, manifest: Manifest, engine: str, info: DeviceInfo, options: SessionOptions
    ) -> None:
        """What is about to run, on what, and how it looks at gaze."""
        self._line(f"bundle   {manifest.name} ({manifest.quantization.kind}), {engine}")
        if manifest.provenance.weights == "random":
            self._line("the weights of this bundle are random: its answers mean nothing", "bold", 9)
        gaze = f"gaze from {info.gaze_from}" if info.gaze_from else "gaze from the tracker"
        size = f"{info.frame_width}x{info.frame_height}"
        self._line(f"device   {info.name}, {size}, {gaze}")
        rule = options.rule if options.use_gaze else "gaze off"
        self._line(
            f"watching a window of {options.window:g} s at {options.rate:g} frames per second, "
            f"fixations: {rule}"
        )

    def hear(self, news: News) -> None:
        """Print what happened."""
        match news:
            case Notice():
                self.notice(news.line)
            case Piece():
                self.text(news.text)
            case AnswerRecord():
                self.answer(news)
            case AlertRecord():
                self.alert(news)
            case SecondRecord():
                self.second(news)
            case SummaryRecord():
                self.summary(news)
            case HeardRecord():
                self.heard(news)

    def notice(self, line: str) -> None:
        """A line about the device."""
        self._line(line, "dim")

    def text(self, piece: str) -> None:
        """A piece of an answer that is still being generated."""
        if not self._streaming:
            self._console.print("> ", end="")
            self._streaming = True
        self._console.print(Text(piece), end="")

    def answer(self, record: AnswerRecord) -> None:
        """An answer, how old what it rests on was, and how long it took."""
        if self._streaming:
            self._console.print()
            self._streaming = False
        self._line(record.question, "bold")
        self._line(_answer_text(record), indent=2, after=_truth(record))
        self._line(f"{_ages(record)}; {_gaze(record)}; {_time(record)}", "dim", 2)
        self._note(record)

    def alert(self, record: AlertRecord) -> None:
        """An alert, and how long after what set it off it came."""
        alert = Text.assemble(("ALERT", "bold yellow"), f" {printable(record.alert, LONGEST)}")
        self._console.print(alert.append_text(_truth(record)))
        since = "no fixation"
        if record.since_fixation_ms is not None:
            since = f"{record.since_fixation_ms:.0f} ms after the fixation began"
        chance = (record.probabilities or {}).get("A", 0.0)
        frame = f"{record.since_frame_ms or 0:.0f} ms after the frame"
        self._line(f"{since}, {frame}; probability {chance:.0%}", "dim", 2)
        self._note(record)

    def heard(self, record: HeardRecord) -> None:
        """What was heard, and what it was taken as."""
        taken = record.taken_as if record.why is None else f"{record.taken_as}: {record.why}"
        self._line(f"heard    {record.text or '(not looked at)'} ({taken})", "dim")

    def second(self, record: SecondRecord) -> None:
        """The status line, where there is a terminal to show it."""
        if self._status is not None:
            self._status.update(status_text(record, self._second))
        self._second = record

    @property
    def trouble(self) -> str | None:
        """Why not all could be printed; None while all was, or nobody reads any more."""
        return self._console.trouble if isinstance(self._console, SafeConsole) else None

    def close(self) -> None:
        """The last line was printed: wait for a moment until it is out."""
        if isinstance(self._console, SafeConsole):
            self._console.paper.settle()

    @contextmanager
    def status(self) -> Iterator[None]:
        """Keep a status line at the bottom meanwhile."""
        if not self._console.is_terminal:
            yield
            return
        with self._console.status("starting") as self._status:
            yield
        self._status = None

    def summary(self, record: SummaryRecord) -> None:
        """The end of a run."""
        seconds = ((record.ended_at or 0) - (record.started_at or 0)) / 1e9
        right = f", {record.right} of {record.known} right" if record.known else ""
        self._line(
            f"{seconds:.1f} s: {record.answers} answers{right}, {record.alerts} alerts, "
            f"{record.steps} steps ({record.steps_dropped} dropped)"
        )
        facts = {"frames": record.frames, "gaze": record.gaze, "sound": record.sound}
        for noun, fact in facts.items():
            if fact is None:
                continue
            causes = ", ".join(f"{n} {cause}" for cause, n in sorted(fact.dropped.items()) if n)
            self._line(
                f"{noun:<7}{fact.received} received, {fact.used} used"
                + (f", dropped: {causes}" if causes else "")
            )
        if record.stages:
            self._console.print(_stage_table(record))

    def _note(self, record: AnswerRecord) -> None:
        """What a person should know about an answer that was given."""
        if record.note is not None and record.answer is not None:
            self._line(record.note, "yellow", 2)

    def _line(self, text: str, style: str = "", indent: int = 0, after: Text | None = None) -> None:
        """One line, `after` in its own style at the end."""
        line = Text(" " * indent).append(printable(text, LONGEST), style)
        self._console.print(line.append_text(after or Text()))


def _stage_table(record: SummaryRecord) -> Table:
    table = Table("stage, ms", "n", "p50", "p95", "p99", "max", box=None, header_style="dim")
    for stage, times in sorted(record.stages.items()):
        row = (f"{value:.1f}" for value in (times.p50, times.p95, times.p99, times.max))
        table.add_row(stage, str(times.count), *row)
    return table


def status_text(record: SecondRecord, before: SecondRecord | None) -> str:
    """Rates since the second `before`, ages, and what was dropped so far."""
    lost = sum(record.frames.dropped.values()) + sum(record.gaze.dropped.values())
    rates = "starting"
    if before is not None and record.at > before.at:
        seconds = (record.at - before.at) / 1e9
        frames = (record.frames.received - before.frames.received) / seconds
        used = (record.frames.used - before.frames.used) / seconds
        gaze = (record.gaze.received - before.gaze.received) / seconds
        rates = f"{frames:.0f} frames/s ({used:.0f} encoded), {gaze:.0f} gaze/s"
    return (
        f"{rates}, {record.steps} steps in "
        f"{record.contexts} contexts, {_age('frame', record.frame_age_ms)}, "
        f"{_age('gaze', record.gaze_age_ms)}, {lost} dropped"
    )


def _age(name: str, milliseconds: float | None) -> str:
    return f"no {name}" if milliseconds is None else f"{name} {milliseconds:.0f} ms old"


def _answer_text(record: AnswerRecord) -> str:
    if record.answer is None:
        return record.note or "no answer"
    if not record.options:
        return record.answer or "(the model said nothing)"
    chance = (record.probabilities or {}).get(record.answer)
    return _option(record, record.answer) + (f" ({chance:.0%})" if chance is not None else "")


def _option(record: AnswerRecord, letter: str) -> str:
    options = dict(zip(LETTERS, lettered(record.options), strict=False))
    return options.get(letter, f"{letter}. (no such option)")


def _truth(record: AnswerRecord) -> Text:
    if record.truth is None:
        return Text()
    if record.truth == record.answer:
        return Text("  right", "green")
    return Text(f"  truth: {printable(_option(record, record.truth), LONGEST)}", "red")


def _ages(record: AnswerRecord) -> str:
    return f"{_age('frame', record.frame_age_ms)}, {_age('gaze', record.gaze_age_ms)}"


def _gaze(record: AnswerRecord) -> str:
    steps = len(record.steps)
    fixated = len({fixation.step for fixation in record.fixations})
    return f"{steps} steps, {fixated} with a fixation"


def _time(record: AnswerRecord) -> str:
    return "not asked" if record.ttft_ms is None else f"first token after {record.ttft_ms:.0f} ms"
