"""Comparisons and reports, on runs written down by hand."""

import csv

import msgspec
import pytest

from benchmarks.streamgaze.__main__ import main
from benchmarks.streamgaze.asking.results import Conditions, Result, read_run
from benchmarks.streamgaze.data.questions import QuestionKey
from benchmarks.streamgaze.reporting.summary import percentile, summarise, summary_lines

SCENE, EASY = "past_scene_recall", "present_object_identification_easy"
ALERT = "proactive_object_appearance_alert"
CONDITIONS = Conditions(
    "mini", "abcdef0123", "trained", "an engine", "causal", "yes", 0.0, {SCENE: "1"}, "", None
)


def result(task, number, correct, response="A", skipped=None):
    """A question of a run; `ttft_ms` is its number."""
    return Result(
        QuestionKey(task, "clip.mp4", "What?", "00:05", number),
        is_alert=task == ALERT,
        expected="A",
        response=None if skipped else response,
        correct=correct,
        skipped=skipped,
        reason=skipped,
        ttft_ms=None if skipped else float(number),
        stages_ms={} if number % 2 else {"vision": 1.0},
    )


def write_run(folder, results, **conditions):
    folder.mkdir()
    changed = msgspec.convert(msgspec.to_builtins(CONDITIONS) | conditions, Conditions)
    (folder / "run.json").write_bytes(msgspec.json.encode(changed))
    lines = b"".join(msgspec.json.encode(each) + b"\n" for each in results)
    (folder / "results.jsonl").write_bytes(lines)
    return folder


@pytest.fixture
def two_runs(tmp_path):
    """Of ten scene questions A has 8 right and B 5, of which 4 in common; alerts alike."""
    first = [result(SCENE, n, n < 8, "A" if n < 8 else "B") for n in range(10)]
    second = [result(SCENE, n, n in (0, 1, 2, 3, 9), "C") for n in range(10)]
    alerts = [result(ALERT, n, n == 0, "Yes") for n in range(2)]
    gone = [result(ALERT, 2, False, skipped="missing video")]
    only = [result(EASY, 0, None, skipped="unusable video"), result(EASY, 1, True)]
    return (
        write_run(tmp_path / "gazing", [*first, *alerts, *gone, *only]),
        write_run(tmp_path / "blind", [*second, *alerts], gaze="none"),
    )


def test_summary(two_runs):
    summary = summarise(read_run(two_runs[0]))
    scores = {task.task.short: task.score for task in summary.tasks}
    assert {name: (s.correct, s.total) for name, s in scores.items()} == {
        "SR": (8, 10),
        "OI-E": (1, 1),  # the skipped choice leaves the denominator
        "OAA": (1, 3),  # the skipped alert is wrong
    }
    assert summary.overall == pytest.approx((0.8 + 1 + 1 / 3) / 3)
    assert (summary.weighted.correct, summary.weighted.total) == (10, 14)
    skipped = {task.task.short: dict(task.skipped) for task in summary.tasks}
    assert skipped == {"SR": {}, "OI-E": {"unusable video": 1}, "OAA": {"missing video": 1}}


EIGHT_OF_TEN, FIVE_OF_TEN = "80.0 % [49.0, 94.3]", "50.0 % [23.7, 76.3]"


def cells(line):
    return [cell.strip() for cell in line.strip("| \n").split("|")]


def rows(text, first_cell):
    return [cells(line) for line in text.splitlines() if line.startswith(f"| {first_cell} |")]


def test_compare(two_runs, tmp_path, capsys):
    out = tmp_path / "comparison.md"
    assert main(["compare", *map(str, two_runs), "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert out.read_text() == text
    assert "- gaze: A yes, B none" in text
    # Only A right: 4 to 7; only B: 9. p = 2 (1 + 5) / 2**5.
    assert rows(text, "SR") == [
        ["SR", "10", EIGHT_OF_TEN, FIVE_OF_TEN, "-30.0", "4", "1", "0.38", "0.0 %"]
    ]
    one = "50.0 % [9.5, 90.5]"
    assert rows(text, "OAA") == [["OAA", "2", one, one, "+0.0", "0", "0", "1", "100.0 %"]]
    nine, six = "75.0 % [46.8, 91.1]", "50.0 % [25.4, 74.6]"
    assert rows(text, "all") == [["all", "12", nine, six, "-25.0", "4", "1", "0.38", "16.7 %"]]
    assert rows(text, "OI-E") == []
    assert "Mean of these tasks, unweighted: A 65.0 %, B 50.0 %" in text
    assert "- skipped in `gazing`, OI-E: 1 unusable video" in text
    assert "- skipped in `gazing`, OAA: 1 missing video" in text
    assert "12 questions answered in both runs (15 in A, 12 in B)" in text


def test_compare_refuses_what_has_nothing_in_common(two_runs, tmp_path, capsys):
    other = write_run(tmp_path / "other", [result(EASY, 7, True)])
    assert main(["compare", str(two_runs[1]), str(other)]) == 1
    assert "no answered question in common" in capsys.readouterr().err
    assert main(["compare", str(tmp_path), str(other)]) == 1
    assert "there is no run" in capsys.readouterr().err


@pytest.fixture
def published(tmp_path):
    path = tmp_path / "published.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(
            [
                ["model", "SR", "OI-E", "OAA", "overall"],
                ["Human", ".9", ".96", ".78", ".827"],
                ["Other", ".4", "", ".2", ".5"],
            ]
        )
    return path


def test_report(two_runs, published, tmp_path, capsys):
    out = tmp_path / "report"
    command = ["report", *map(str, two_runs), "--published", str(published), "--out", str(out)]
    assert main(command) == 0
    text = (out / "report.md").read_text()
    assert rows(text, "SR")[0] == [
        "SR",
        f"{EIGHT_OF_TEN} of 10",
        f"{FIVE_OF_TEN} of 10",
        "90.0 %",
        "40.0 %",
    ]
    assert rows(text, "OI-E") == [["OI-E", "100.0 % [20.7, 100.0] of 1", "-", "96.0 %", "-"]]
    mean = f"{100 * (0.9 + 0.96 + 0.78) / 3:.1f} %"
    assert rows(text, "mean of tasks (official)") == [
        ["mean of tasks (official)", "71.1 %", "50.0 %", mean, "-"]
    ]
    assert rows(text, "overall, as published") == [
        ["overall, as published", "-", "-", "82.7 %", "50.0 %"]
    ]
    assert "- skipped in `gazing`, OAA: 1 missing video" in text
    assert "Published rows are of the StreamGaze data set" in text
    assert "A: gazing, B: blind" in text
    assert "`causal`" in text and "`released`" not in text
    assert "random" not in text and "None of these runs is without gaze" not in text
    assert rows(text, "question-weighted")[0][1:3] == [
        "71.4 % [45.4, 88.3] of 14",
        "50.0 % [25.4, 74.6] of 12",
    ]
    for chart in ("accuracy.png", "latency.png"):
        assert (out / chart).read_bytes().startswith(b"\x89PNG")
        assert f"]({chart})" in text


def test_report_without_charts_tells_of_random_weights_and_of_the_release(tmp_path):
    run = write_run(
        tmp_path / "run", [result(SCENE, 1, True)], protocol="released", weights="random"
    )
    assert main(["report", str(run), "--out", str(tmp_path / "out"), "--no-charts"]) == 0
    text = (tmp_path / "out" / "report.md").read_text()
    assert "its answers mean nothing" in text
    assert "None of these runs is without gaze" in text
    assert "`released`" in text and "`causal`" not in text
    assert not (tmp_path / "out" / "accuracy.png").exists()


def test_a_task_of_which_nothing_counts_is_nothing_officially_and_left_out_beside_it(
    tmp_path, capsys
):
    of_none = [result(EASY, n, None, skipped="unusable video") for n in range(3)]
    results = [*(result(SCENE, n, n < 3) for n in range(4)), *of_none]
    run = write_run(tmp_path / "run", results, empty=[ALERT])
    summary = summarise(read_run(run))
    assert summary.overall == pytest.approx(0.75 / 3)
    assert summary.mean_of_scored == pytest.approx(0.75)
    assert summary.unscored == ("OI-E", "OAA")
    lines = list(summary_lines(read_run(run)))
    assert "mean of 3 tasks (official): 25.0 %" in lines
    assert any("of 1 tasks without OI-E, OAA" in line and "75.0 %" in line for line in lines)
    assert main(["report", str(run), "--out", str(tmp_path / "out"), "--no-charts"]) == 0
    text = (tmp_path / "out" / "report.md").read_text()
    official = "mean of tasks (official)"
    assert rows(text, official) == [[official, "25.0 %"]]
    assert rows(text, "mean of tasks with a score") == [["mean of tasks with a score", "75.0 %"]]
    assert "Of OI-E, OAA nothing counts in `run`: 0 % in the official mean." in text


def test_latencies_are_percentiles_of_what_was_asked(two_runs, tmp_path):
    assert main(["report", str(two_runs[1]), "--out", str(tmp_path / "out"), "--no-charts"]) == 0
    text = (tmp_path / "out" / "report.md").read_text()
    # 0 to 9 and 0 to 1, sorted 0 0 1 1 2 ... 9; odd ones found their clip encoded.
    latency = text[text.index("## Latency") :]
    assert rows(latency, "blind") == [["blind", "12", "3.0", "9.0", "9.0", "6"]]


@pytest.mark.parametrize(
    ("content", "named"), [("a,b\n1,2\n", "model"), ("model,SR\nx,70\n", "fractions")]
)
def test_published_files_that_are_none(two_runs, tmp_path, capsys, content, named):
    path = tmp_path / "published.csv"
    path.write_text(content)
    command = ["report", str(two_runs[0]), "--published", str(path), "--out", str(tmp_path / "o")]
    assert main(command) == 1
    assert named in capsys.readouterr().err


def test_percentiles():
    values = [30.0, 10.0, 20.0, 40.0]
    assert [percentile(values, share) for share in (0.25, 0.5, 0.51, 0.99, 1.0)] == [
        10.0,
        20.0,
        30.0,
        40.0,
        40.0,
    ]
    assert percentile([], 0.5) is None
