"""A printer takes text at once, whoever reads it or does not."""

import errno
import os
import threading

import pytest

from runtime.printing import LONGEST, Printer
from runtime.terminal import Paper


@pytest.fixture
def pipe():
    reader, writer = os.pipe()
    with os.fdopen(writer, "w", encoding="utf-8") as stream, os.fdopen(reader, "rb") as ear:
        yield ear, stream


def test_a_reader_gets_everything_in_order(pipe):
    ear, stream = pipe
    lines = [f"line {number} ä\n" for number in range(20_000)]
    expected = "".join(lines).encode()
    heard = []
    thread = threading.Thread(target=lambda: heard.append(ear.read(len(expected))))
    thread.start()
    printer = Printer(stream)
    for line in lines:
        assert printer.write(line) == len(line)
    printer.settle(20)
    thread.join(20)
    assert heard == [expected]


def test_nobody_waits_for_a_reader_that_does_not_read(pipe):
    _, stream = pipe
    printer = Printer(stream)
    line = "x" * 999 + "\n"
    count = 3 * LONGEST // len(line)

    def write():
        for _ in range(count):
            printer.write(line)
            printer.flush()

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    with pytest.raises(OSError, match=r"nobody reads it, \d+ characters are missing") as raised:
        printer.settle(0.05)
    missing = int(str(raised.value).split("it, ")[1].split()[0])
    assert count * len(line) - LONGEST - len(line) - 65536 <= missing <= count * len(line)


def test_a_reader_that_left_is_told_to_whoever_writes_next(pipe):
    ear, stream = pipe
    ear.close()
    paper = Paper(Printer(stream))
    paper.write("nobody hears this\n")
    paper.settle()
    assert paper.trouble.errno == errno.EPIPE
    paper.write("nor this\n")


def test_what_a_stream_held_already_comes_first(pipe):
    ear, stream = pipe
    stream.write("first ")
    printer = Printer(stream)
    printer.write("second")
    printer.settle()
    assert ear.read(12) == b"first second"
