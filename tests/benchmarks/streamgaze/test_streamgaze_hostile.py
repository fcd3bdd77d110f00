"""Task files and fixation files that hold anything: each is told in one line, none ends a run."""

import csv
import io
import json
import math
import os
import random
from pathlib import Path

import msgspec
import pytest
from drawn_streamgaze import alert, choice, entry, steady_fixations
from harmless import is_line
from hostile_input import attack, damaged, mutated, nested, peak

from benchmarks.streamgaze.asking.results import Result
from benchmarks.streamgaze.data import dataset
from benchmarks.streamgaze.data.dataset import DataSetError, Selection, decode_task, read_tasks
from benchmarks.streamgaze.data.entries import read_entries
from benchmarks.streamgaze.data.tasks import task_named
from devices.device import DeviceError
from devices.recording.streamgaze import read_fixations

CASES = 1_000  # of each kind
PATH = Path("task.json")
SCENE, GTA = task_named("SR"), task_named("GTA")
POINT = {"realtime": "00:09", "type": 1, "input_video_clip": [2, 9.5]}
SOUND = {
    SCENE: [entry("a.mp4", [choice(5), choice(70, "a")]), entry("b.mp4", [choice(3)])],
    GTA: [entry("a.mp4", [alert([(4, 0)]), alert([]) | {"test_info": [POINT]}])],
}


def compact(value):
    return json.dumps(value).encode("utf-8", "surrogatepass")


def parse(task):
    def took(content):
        """Whether every question of a file can be asked."""
        try:
            entries = decode_task(PATH, content)
        except DataSetError as error:
            assert is_line(str(error)) and len(str(error)) < 500
            return False
        sound = True
        for question in read_entries(task, entries):
            sound &= question.problem is None
            if question.problem is None:
                assert 0 <= question.window.start <= question.window.end < 1e9
                msgspec.json.encode(question.asked())  # as a run would write it
                continue
            for problem in question.problems:
                assert is_line(problem.reason) and len(problem.reason) < 500
                msgspec.json.encode(Result.unasked(question, problem))
            assert len(str(question.key)) < 2000
        return sound

    return took


@pytest.mark.damaged
@pytest.mark.parametrize("task", SOUND, ids=lambda task: task.short)
def test_damaged_task_files(task, times_as_many):
    count = CASES // 2 * times_as_many
    draws, content = random.Random(15), compact(SOUND[task])
    assert parse(task)(content)
    taken, refused = attack(parse(task), (damaged(draws, content) for _ in range(count)))
    assert taken + refused == count and min(taken, refused) > count / 100


@pytest.mark.damaged
@pytest.mark.parametrize("task", SOUND, ids=lambda task: task.short)
def test_task_files_of_nonsense(task, times_as_many):
    count = CASES // 2 * times_as_many
    draws = random.Random(16)
    cases = (compact(mutated(draws, mutated(draws, SOUND[task]))) for _ in range(count))
    taken, refused = attack(parse(task), cases)
    assert taken + refused == count and min(taken, refused) > count / 100


@pytest.mark.parametrize(
    "value",
    [
        nested(900),
        [entry("a.mp4", [choice(5) | {"options": nested(900)}])],
        [entry("a.mp4", [choice(5) | {"answer": nested(900)}])],
        [entry("a.mp4", [nested(900)])],
        [entry("a.mp4", [choice(5) | {"time_stamp": 10**4000}])],
        [entry("a.mp4", [choice(5) | {"time_stamp": "9" * 100_000}])],
        [entry("a.mp4", [choice(5) | {"time_stamp": "99999999999:00"}])],
        [entry("a" * 5000 + ".mp4", [choice(5)])],
        [entry("\ud800.mp4", [choice(5, text="half \ud800")])],
        [entry("a.mp4", [choice(5) | {"options": ["a", "\udfff"]}])],
    ],
)
def test_nonsense_of_a_kind(value):
    assert not parse(SCENE)(compact(value))


@pytest.mark.parametrize("content", [b"[" * 200_000, b'{"a":' * 200_000, b"[" + b"9" * 5000 + b"]"])
def test_what_is_nested_without_end_is_one_line(content):
    with pytest.raises(DataSetError, match="not JSON"):
        decode_task(PATH, content)


def test_a_file_without_end_and_one_with_too_many_questions(tmp_path, monkeypatch):
    path = tmp_path / f"{SCENE.name}.json"
    monkeypatch.setattr(dataset, "MOST_QUESTIONS", 100)
    path.write_bytes(b"[" + b"1," * 99 + b"1]")
    assert len(read_tasks(tmp_path, Selection())[0].questions) == 100
    path.write_bytes(b"[" + b"1," * 100 + b"1]")
    with pytest.raises(DataSetError, match="more than 100 questions"):
        read_tasks(tmp_path, Selection())
    with path.open("ab") as file:
        file.truncate(1 << 40)  # a hole: it takes no room
    with pytest.raises(DataSetError, match="more than"):
        read_tasks(tmp_path, Selection())


@pytest.mark.parametrize("kind", ["[],", "{},", "1,", '"a",', '{"questions":[1,2,3]},'])
def test_memory_is_linear_in_what_is_read(kind):
    small, large = (
        peak(parse(SCENE), ("[" + kind * count + "1]").encode()) for count in (250, 1_000)
    )
    assert large < 4.5 * small + (1 << 16)


def table(rows):
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode("utf-8", "surrogatepass")


HEADER = ["fixation_id", "center_x", "center_y", "start_time_seconds", "end_time", "duration"]
ROWS = [[n, *row, row[3] - row[2]] for n, row in enumerate(steady_fixations(12))]


@pytest.fixture
def memory_file():
    """A file that is on no disk."""
    descriptor = os.memfd_create("fixations")
    yield Path(f"/proc/self/fd/{descriptor}")
    os.close(descriptor)


def parse_fixations(path):
    def took(content):
        path.write_bytes(content)
        try:
            found = read_fixations(path)
        except DeviceError as error:
            assert "\n" not in str(error) and len(str(error)) < 140_000
            return False
        for fixation in found:
            assert 0 <= fixation.x <= 1 and 0 <= fixation.y <= 1
            assert 0 < fixation.started_at <= fixation.ended_at < 2**62
        return True

    return took


@pytest.mark.damaged
def test_damaged_fixation_files(memory_file, times_as_many):
    count = CASES * times_as_many
    draws, content = random.Random(15), table([HEADER, *ROWS])
    took = parse_fixations(memory_file)
    assert took(content)
    taken, refused = attack(took, (damaged(draws, content) for _ in range(count)))
    assert taken + refused == count and min(taken, refused) > count / 100


@pytest.mark.damaged
def test_fixation_files_of_nonsense(memory_file, times_as_many):
    count = CASES * times_as_many
    draws = random.Random(16)
    cases = (table(mutated_rows(draws)) for _ in range(count))
    taken, refused = attack(parse_fixations(memory_file), cases)
    assert taken + refused == count and min(taken, refused) > count / 100


def mutated_rows(draws):
    """A cell or two of the table replaced, or a row taken out, doubled or shortened."""
    rows = [list(row) for row in (HEADER, *ROWS)]
    for _ in range(draws.randrange(1, 3)):
        row = rows[draws.randrange(len(rows))]
        nonsense = [math.nan, math.inf, -1, 1e300, 1e19, "", "\x1b[2J", "1,5", '"', "\ud800", "½"]
        if draws.random() < 0.8 and row:
            row[draws.randrange(len(row))] = draws.choice([*nonsense, draws.random() * 40])
        else:
            draws.choice([row.clear, row.reverse, lambda row=row: row.append(0)])()
    return rows
