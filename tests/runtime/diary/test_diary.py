"""The diary: whole at any end, bounded, never in the way, and honest about what it rests on."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from stand_in import SECOND, START

from devices.clock import NANOSECONDS
from runtime.diary.__main__ import main
from runtime.diary.search import recall, seconds_ago, thing_in
from runtime.diary.store import MIB, Diary, DiaryError, Entry, Saying
from runtime.live import main as live

ROOT = Path(__file__).parents[3]
MINUTE = 60 * NANOSECONDS
WRITER = """
import sys
from pathlib import Path
from runtime.diary.store import Diary, Entry, MIB
diary = Diary(Path(sys.argv[1]), 64 * MIB)
number = 0
while True:
    number += 1
    diary.add(Entry(0, number, None, None, f"thing {number}", 1.0, 0.5, 0.5), bytes(3000))
    print(number, flush=True)
"""


def entry(at, thing="cup", number=0):
    return Entry(number, at, None, None, thing, 0.9, 0.5, 0.5)


@pytest.fixture
def diary(tmp_path):
    diary = Diary(tmp_path / "diary.sqlite", 64 * MIB)
    yield diary
    diary.close()


def kept(path):
    """What is in a diary: read by plain SQL."""
    with sqlite3.connect(path) as file:
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return file.execute("SELECT at, thing FROM entries ORDER BY number").fetchall()


def test_killed_at_20_moments_it_opens_and_lacks_at_most_the_last_entry(tmp_path):
    wait = random.Random(7)
    processes = []
    for moment in range(20):
        path = tmp_path / f"{moment}.sqlite"
        command = [sys.executable, "-c", WRITER, str(path)]
        processes.append((path, subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)))
        if len(processes) < 5:
            continue
        for path, process in processes:
            process.stdout.readline()  # it is at work
            time.sleep(wait.uniform(0, 0.05))
            os.kill(process.pid, signal.SIGKILL)
            told = 1 + len(process.stdout.read().splitlines())
            process.wait()
            rows = kept(path)
            assert told <= len(rows) <= told + 1
            assert rows == [(number, f"thing {number}") for number in range(1, len(rows) + 1)]
            reopened = Diary(path, 64 * MIB)
            reopened.add(entry(10**9), None)
            reopened.close()
        processes.clear()


def test_a_day_stays_within_its_limit_and_loses_pictures_before_entries(tmp_path):
    path, limit = tmp_path / "diary.sqlite", 5 * MIB
    diary = Diary(path, limit)
    largest = 0
    count = 4000
    for number in range(count):
        diary.add(entry(START + number * 20 * SECOND), bytes([number % 251]) * 4000)
        if number % 50 == 0:
            files = tmp_path.glob("diary.sqlite*")
            largest = max(largest, sum(file.stat().st_size for file in files))
    assert 0 < largest <= limit
    assert len(list(diary.entries())) == count
    assert diary.picture(1) is None
    assert diary.picture(count) == bytes([(count - 1) % 251]) * 4000
    diary.close()


def test_without_pictures_the_oldest_entries_go(tmp_path, monkeypatch):
    monkeypatch.setattr("runtime.diary.store.LEAST_LIMIT", 0)
    diary = Diary(tmp_path / "diary.sqlite", MIB + 200_000)
    for number in range(3000):
        diary.add(entry(number + 1, f"a thing with a long name {number}"), None)
    left = [each.at for each in diary.entries()]
    assert left[-1] == 3000 and left == list(range(left[0], 3001)) and left[0] > 1
    diary.close()


@pytest.mark.parametrize(
    ("question", "options", "said", "letter", "numbers"),
    [
        ("Where did I last look at my keys?", (), "red key: ", None, [2]),
        ("when did I last see the White Cup?", (), "white cup: ", None, [4]),
        ("What did I look at ten minutes ago?", (), "red key, plate", None, [2, 3]),
        ("Which of these 10 minutes ago?", ("a cup", "the key", "plate"), "the key", "B", [2]),
        ("which one an hour ago?", (), "white cup", None, [1]),
        ("What am I looking at?", (), None, None, []),
        ("What did I look at 5 seconds ago?", (), None, None, []),
        ("Where did I last look at my bicycle?", (), None, None, []),
    ],
)
def test_what_is_asked_about_the_past_is_found(diary, question, options, said, letter, numbers):
    now = START + 120 * MINUTE
    for minutes, thing in ((60, "white cup"), (10, "red key"), (9.9, "plate"), (2, "white cup")):
        diary.add(entry(now - round(minutes * MINUTE), thing), None)
    found = recall(diary, question, options, now, horizon=30)
    if said is None:
        assert found is None
        return
    assert found.text.startswith(said)
    assert found.letter == letter
    assert [each.number for each in found.entries] == numbers
    assert str(numbers[0]) in found.basis and "diary" in found.basis


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("ten minutes ago", 600),
        ("half an hour ago", 1800),
        ("2.5 hours earlier", 9000),
        ("a day ago", 86400),
        ("long ago", None),
    ],
)
def test_times_are_understood(text, seconds):
    assert seconds_ago(text) == seconds


def test_the_longest_name_is_meant():
    assert thing_in("my red key ring", ["key", "red key", "red key ring"]) == "red key ring"
    assert thing_in("a keyboard?", ["red key"]) is None


def test_the_live_run_keeps_what_it_saw_and_answers_what_its_window_no_longer_holds(
    tmp_path, capsys
):
    path, records = tmp_path / "diary.sqlite", tmp_path / "records.jsonl"
    asked = "What did I look at 9 seconds ago?"
    kept = ("--diary", str(path), "--diary-pictures", "no", "--record", str(records))
    watched = ("--fast", "--seconds", "14", "--window", "4", "--seed", "3")
    ran = live([*watched, *kept, "--ask", asked, "--at", "13"])
    assert ran == 0
    lines = [json.loads(line) for line in records.read_text().splitlines()]
    answers = {line["question"]: line for line in lines if line["kind"] == "answer"}
    record = answers[asked]
    diary = Diary(path)
    entries = list(diary.entries())
    window = [record["asked_at"] - n * SECOND for n in (11, 7)]
    meant = [each for each in entries if window[0] <= each.at <= window[1] and each.thing]
    assert meant and record["steps"] == [] and record["probabilities"] is None
    assert record["note"].startswith("from the diary, entr")
    assert all(str(each.number) in record["note"] for each in meant)
    assert all(each.thing in record["answer"] for each in meant)
    assert {saying.text for saying in diary.sayings()} == set(answers)
    assert all(diary.picture(each.number) is None for each in entries)
    others = [line for name, line in answers.items() if name != asked]
    assert others and all(line["probabilities"] for line in others)
    capsys.readouterr()
    assert main([str(path), "--csv"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(entries) + 1


def test_a_diary_changes_no_other_answer(tmp_path):
    def run(*more):
        records = tmp_path / f"{len(more)}.jsonl"
        arguments = ["--fast", "--seconds", "8", "--seed", "5", "--record", str(records), *more]
        assert live(arguments) == 0
        lines = [json.loads(line) for line in records.read_text().splitlines()]
        return [
            (line["question"], line["answer"], line["probabilities"])
            for line in lines
            if line["kind"] == "answer"
        ]

    plain = run()
    assert plain and run("--diary", str(tmp_path / "d.sqlite")) == plain


@pytest.mark.parametrize("content", [b"no database at all" * 100, None])
def test_a_file_that_is_no_diary_is_one_line(tmp_path, capsys, content):
    path = tmp_path / "other.sqlite"
    if content is None:
        with sqlite3.connect(path) as file:
            file.execute("CREATE TABLE bookmarks (x)")
    else:
        path.write_bytes(content)
    before = path.read_bytes()
    assert main([str(path)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
    with pytest.raises(DiaryError):
        Diary(path, 64 * MIB)
    assert path.read_bytes() == before


def test_sayings_are_found_by_time(diary):
    diary.say(Saying(5, "answer", "What?", "a cup"))
    diary.say(Saying(9, "alert", "Tell me.", None))
    assert [each.kind for each in diary.sayings(6)] == ["alert"]
