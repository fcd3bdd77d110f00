"""A run that is stopped at any moment goes on as if it had not been."""

import json
import multiprocessing
import random
import time

import pytest
from drawn_streamgaze import alert, choice, draw_set

from benchmarks.streamgaze.__main__ import main

KILLS = 20
COPIES = 8
TIMING = ("ttft_ms", "stages_ms")


@pytest.fixture(scope="module")
def many_questions(tmp_path_factory):
    """Some alike in everything but their number, and one that is bad.

    So many that a fast machine is not through before it was killed as often as is wanted.
    """
    alerts = [alert([(second, second % 2) for second in range(1, 9)])]
    return draw_set(
        tmp_path_factory.mktemp("set"),
        {"one": 9, "two": 9},
        {
            "past_scene_recall": [
                ("one", [choice(second) for second in range(1, 10)] * COPIES),
                ("two", [choice(second) for second in range(1, 10)] * COPIES),
            ],
            "present_object_identification_easy": [
                ("one", [choice(second) for second in range(2, 9)] + [choice(59)]),
            ],
            "proactive_gaze_triggered_alert": [("one", alerts), ("two", alerts)],
        },
    )


def lines(folder):
    """The results without their timing."""
    kept = []
    for line in (folder / "results.jsonl").read_text().splitlines():
        fields = json.loads(line)
        kept.append({name: value for name, value in fields.items() if name not in TIMING})
    return kept


def wait_for_growth(path, process):
    """Until the file has grown, or the process has ended."""
    before = path.stat().st_size if path.exists() else 0
    while process.is_alive() and (path.stat().st_size if path.exists() else 0) <= before:
        time.sleep(0.001)


@pytest.mark.long
def test_killed_twenty_times_it_ends_like_an_undisturbed_run(tiny_folder, many_questions, tmp_path):
    def command(folder):
        return many_questions.options("--bundle", tiny_folder, "--out", folder)

    disturbed, undisturbed = tmp_path / "disturbed", tmp_path / "undisturbed"
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.streamgaze.__main__", "onnxruntime"])
    moments = random.Random(5)
    killed = 0
    for kill in range(KILLS):
        process = context.Process(target=main, args=(command(disturbed),))
        process.start()
        if kill % 4:
            wait_for_growth(disturbed / "results.jsonl", process)
            time.sleep(moments.uniform(0, 0.02))
        else:  # while it starts
            time.sleep(moments.uniform(0, 0.3))
        killed += process.is_alive()
        process.kill()
        process.join()
    assert killed > KILLS // 2, "the run ended before it was disturbed"
    assert main(command(disturbed)) == 0
    assert main(command(undisturbed)) == 0
    assert len(lines(undisturbed)) == 18 * COPIES + 24
    assert lines(disturbed) == lines(undisturbed)
    assert (disturbed / "run.json").read_text() == (undisturbed / "run.json").read_text()


def test_a_line_cut_short_is_asked_again(tiny_folder, many_questions, tmp_path):
    out = tmp_path / "run"
    command = many_questions.options("--bundle", tiny_folder, "--out", out, "--tasks", "SR")
    assert main(command) == 0
    path = out / "results.jsonl"
    whole = path.read_bytes()
    before = lines(out)
    path.write_bytes(whole[:-30])
    assert main(command) == 0
    assert lines(out) == before
    assert path.read_bytes().startswith(b"".join(whole.splitlines(keepends=True)[:-1]))


def test_damage_inside_a_run_is_told(tiny_folder, many_questions, tmp_path, capsys):
    out = tmp_path / "run"
    command = many_questions.options("--bundle", tiny_folder, "--out", out, "--limit", 1)
    assert main(command) == 0
    path = out / "results.jsonl"
    path.write_bytes(b"{}\n" + path.read_bytes())
    capsys.readouterr()
    assert main(command) == 1
    assert "line 1: damaged" in capsys.readouterr().err


def test_one_process_at_a_time(tiny_folder, many_questions, tmp_path, capsys):
    from benchmarks.streamgaze.asking.results import RUNS, read_run
    from runtime.ledger import Ledger

    out = tmp_path / "run"
    command = many_questions.options("--bundle", tiny_folder, "--out", out, "--limit", 1)
    assert main(command) == 0
    held = Ledger(RUNS, out, read_run(out).conditions)
    capsys.readouterr()
    assert main(command) == 1
    assert "another process" in capsys.readouterr().err
    held.close()
    assert main(command) == 0
