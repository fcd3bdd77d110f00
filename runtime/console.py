"""What a person sees. Everything is printed from the records."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

from devices.device import DeviceInfo
from runtime.manifest import Manifest
from runtime.record import AnswerRecord
from runtime.session import SessionOptions


class Screen:
    """Prints to a console; free text appears as it is generated."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False, soft_wrap=True)
        self._streaming = False

    def opened(
        self, manifest: Manifest, engine: str, info: DeviceInfo, options: SessionOptions
    ) -> None:
        """What is about to run, on what, and how it looks at gaze."""
        self._console.print(f"bundle   {escape(manifest.name)} ({manifest.quantization}), {engine}")
        if manifest.provenance.weights == "random":
            self._console.print(
                "         [bold]the weights of this bundle are random: its answers mean nothing[/]"
            )
        gaze = f"gaze from {info.gaze_from}" if info.gaze_from else "gaze from the tracker"
        size = f"{info.frame_width}x{info.frame_height}"
        self._console.print(f"device   {escape(info.name)}, {size}, {gaze}")
        rule = options.rule if options.use_gaze else "gaze off"
        self._console.print(
            f"watching a window of {options.window:g} s at {options.rate:g} frames per second, "
            f"fixations: {rule}"
        )

    def notice(self, line: str) -> None:
        """A line about the device."""
        self._console.print(f"[dim]{escape(line)}[/]")

    def text(self, piece: str) -> None:
        """A piece of an answer that is still being generated."""
        if not self._streaming:
            self._console.print("> ", end="")
            self._streaming = True
        self._console.print(piece, end="", markup=False)

    def answer(self, record: AnswerRecord) -> None:
        """An answer, how old what it rests on was, and how long it took."""
        if self._streaming:
            self._console.print()
            self._streaming = False
        self._console.print(f"[bold]{escape(record.question)}[/]")
        self._console.print(f"  {escape(_answer_text(record))}{_truth(record)}")
        self._console.print(f"  [dim]{_ages(record)}; {_gaze(record)}; {_time(record)}[/]")


def _answer_text(record: AnswerRecord) -> str:
    if record.answer is None:
        return record.note or "no answer"
    if not record.options:
        return record.answer or "(the model said nothing)"
    index = ord(record.answer) - ord("A")
    option = record.options[index] if index < len(record.options) else "(no such option)"
    chance = (record.probabilities or {}).get(record.answer)
    return f"{record.answer}. {option}" + (f" ({chance:.0%})" if chance is not None else "")


def _truth(record: AnswerRecord) -> str:
    if record.truth is None:
        return ""
    return (
        "  [green]right[/]" if record.truth == record.answer else f"  [red]truth: {record.truth}[/]"
    )


def _ages(record: AnswerRecord) -> str:
    def age(name: str, milliseconds: float | None) -> str:
        return f"no {name}" if milliseconds is None else f"{name} {milliseconds:.0f} ms old"

    return f"{age('frame', record.frame_age_ms)}, {age('gaze', record.gaze_age_ms)}"


def _gaze(record: AnswerRecord) -> str:
    steps = len(record.steps)
    fixated = len({fixation.step for fixation in record.fixations})
    return f"{steps} steps, {fixated} with a fixation"


def _time(record: AnswerRecord) -> str:
    return "not asked" if record.ttft_ms is None else f"first token after {record.ttft_ms:.0f} ms"
