"""The instrument: what a result says of itself, and the command that runs all of them."""

import json
import subprocess

import numpy as np
import pytest
from rich.console import Console

from benchmarks import __main__ as command
from benchmarks.__main__ import main
from benchmarks.instruments.catalog import BENCHMARKS
from benchmarks.instruments.conditions import ROOT, Conditions, cpu_features, input_hash
from benchmarks.instruments.findings import Finding
from benchmarks.instruments.result import Result, Sheet, add_outputs, publish, told
from devices.parser import Parser
from runtime.bundle.opening import Bundle
from runtime.run.command_line import MINI


def result(figure):
    return Result(
        "example",
        Conditions.here("3 rounds", input_hash("x"), Bundle.open(MINI)),
        (Sheet("times", ("", "ms", "not measured"), (("one", 1.25, None), ("two", 12345, "x"))),),
        (Finding("figure", figure, 2.0, "ms"),),
        {"rounds": (1, 2)},
    )


@pytest.mark.parametrize(("figure", "status"), [(1.0, 0), (3.0, 1)])
def test_a_result_is_on_the_screen_in_json_and_in_markdown(tmp_path, figure, status):
    parser = Parser()
    add_outputs(parser)
    files = tmp_path / "r.json", tmp_path / "r.md"
    options = parser.parse_args(["--json", str(files[0]), "--markdown", str(files[1])])
    console = Console(record=True, width=120)
    assert publish(result(figure), options, console) == status
    assert "12,345" in console.export_text()
    content = json.loads(files[0].read_text())
    assert content["sheets"][0]["rows"] == [["one", 1.25, None], ["two", 12345, "x"]]
    assert content["findings"][0]["met"] is (status == 0)
    assert content["conditions"]["bundle_hash"] == Bundle.open(MINI).manifest.digest
    assert "| one | 1.25 |  |" in files[1].read_text()
    assert ("NOT met" in files[1].read_text()) is (status == 1)


@pytest.mark.parametrize("option", ["--json", "--markdown"])
def test_a_file_that_cannot_be_written_is_refused_before_anything_is_measured(
    tmp_path, capsys, option
):
    (tmp_path / "file").write_text("kept")
    for place, said in (
        (tmp_path, "is a folder"),
        (tmp_path / "file/r.json", "is no folder"),
        (tmp_path / ("n" * 300), "File name too long"),
    ):
        for each in BENCHMARKS:
            if each.quick is None:
                continue
            with pytest.raises(SystemExit) as ended:
                main([each.name, option, str(place)])
            assert ended.value.code == 2, each.name
            told = capsys.readouterr().err
            assert said in told and told.count("\n") == 1, each.name
    assert (tmp_path / "file").read_text() == "kept"


def test_folders_of_a_result_are_made(tmp_path):
    parser = Parser()
    add_outputs(parser)
    file = tmp_path / "new/folder/r.json"
    assert publish(result(1.0), parser.parse_args(["--json", str(file)]), Console()) == 0
    assert json.loads(file.read_text())["benchmark"] == "example"


def test_the_conditions_name_the_commit_and_the_versions():
    there = Conditions.here("once", input_hash("x"))
    if there.commit is not None:
        asked = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
        expected = subprocess.run(asked, capture_output=True, text=True).stdout.strip()
        assert there.commit.rstrip("+") == expected
    assert there.versions["numpy"] == np.__version__
    assert there.bundle is None


def test_features_are_those_that_the_system_lists(tmp_path):
    facts = tmp_path / "cpuinfo"
    facts.write_text("model name\t: Some CPU\nflags\t\t: fpu avx2 amx_int8 avx512_vnniX\n")
    assert cpu_features(facts) == ("Some CPU", ["avx2", "amx_int8"])
    assert cpu_features(tmp_path / "none")[1] == []


def test_a_hash_tells_inputs_apart(tmp_path):
    file = tmp_path / "f"
    file.write_bytes(b"a")
    array = np.arange(6, dtype=np.int32)
    hashes = [input_hash(*parts) for parts in ((array,), (array.reshape(2, 3),), (file,), (1,))]
    file.write_bytes(b"b")
    hashes += [input_hash(file), input_hash(array.view(np.float32)), input_hash("ab", "c")]
    assert len({*hashes, input_hash("a", "bc")}) == 8
    assert input_hash(array) == hashes[0]


def test_figures_as_people_read_them():
    figures = (None, 0.123456, 1234.5, 12, "x")
    assert [told(each) for each in figures] == ["", "0.1235", "1,234", "12", "x"]


def test_an_unknown_name_is_one_line(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["nothing"])
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_every_module_of_a_benchmark_is_listed():
    folder = ROOT / "benchmarks"
    rooms = {folder, *(folder / each.room for each in BENCHMARKS)}
    modules = {p.stem for room in rooms for p in room.glob("*.py")} - {"__init__", "__main__"}
    packages = {path.parent.name for path in folder.glob("*/__main__.py")}
    assert {each.name for each in BENCHMARKS} == modules | packages


def test_all_runs_each_and_tells_which_could_not_be_run(tmp_path, monkeypatch, capsys):
    def run(words, stdin):
        name, file = words[3], words[words.index("--json") + 1]
        if name != "soak":
            (tmp_path / f"{name}.json").write_text(file)
        return subprocess.CompletedProcess(words, 1 if name in ("soak", "stream") else 0)

    monkeypatch.setattr(command.subprocess, "run", run)
    assert main(["all", "--quick", "--out", str(tmp_path)]) == 1
    told = capsys.readouterr().out
    assert "memory: measured" in told
    assert "stream: a limit is not met" in told
    assert "soak: FAILED" in told
