"""What listens gives way to what answers, on systems where a thread can."""

import os
import sys
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from runtime.priority import NICENESS, made_nicely

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="threads share one priority")


class Model:
    """A model with a thread of its own, as libraries start them while they load one."""

    def __init__(self) -> None:
        self.niceness = None
        thread = threading.Thread(target=self._work)
        thread.start()
        thread.join()

    def _work(self) -> None:
        self.niceness = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def test_threads_that_a_model_starts_as_it_is_loaded_give_way():
    assert made_nicely(Model).niceness == Model().niceness + NICENESS


def test_what_a_model_raises_as_it_is_loaded_is_raised():
    with pytest.raises(ValueError, match="no model"):
        made_nicely(lambda: int("no model"))


def test_the_speech_models_own_threads_give_way():
    pytest.importorskip("moonshine_voice", reason="needs the extra 'voice'")
    from runtime.voice.recognizer import open_recognizer

    ours = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    tasks = Path("/proc/self/task")
    before = set(tasks.iterdir())
    kept = open_recognizer(None)
    found = set()
    for new in set(tasks.iterdir()) - before:
        with suppress(ProcessLookupError):  # a thread of something else that has ended since
            found.add(os.getpriority(os.PRIO_PROCESS, int(new.name)))
    assert kept
    assert found == {ours + NICENESS}
