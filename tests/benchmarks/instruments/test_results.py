"""The page of results: what machines gave, in the order of the benchmarks, and what nobody ran."""

from benchmarks.instruments.conditions import Conditions, input_hash
from benchmarks.instruments.findings import Finding
from benchmarks.instruments.result import Result, Sheet
from benchmarks.results import main, page, read_results


def written(folder, benchmark, figure):
    sheet = Sheet("times", ("", "ms"), (("one", figure), ("two", None)))
    conditions = Conditions.here("once", input_hash(figure))
    found = (Finding("limit", figure, 2.0, "ms"),)
    told = Result(benchmark, conditions, (sheet,), found, {"rounds": [1]})
    folder.mkdir(exist_ok=True)
    (folder / f"{benchmark}.json").write_bytes(told.json())
    return told


def test_results_are_read_as_they_were_written(tmp_path):
    told = written(tmp_path, "stages", 1.5)
    (read,) = read_results(tmp_path)
    assert read.markdown() == told.markdown()
    assert read.is_met and read.details == {"rounds": [1]}


def test_every_machine_has_its_section_and_what_nobody_ran_says_so(tmp_path, capsys):
    written(tmp_path / "a", "stages", 1.5)
    written(tmp_path / "b", "stages", 2.5)
    file = tmp_path / "page.md"
    assert main([str(tmp_path), "--page", str(file)]) == 0
    text = file.read_text()
    assert text.count("## stages") == 2 and text.index("| one | 1.5 |") < text.index(
        "| one | 2.5 |"
    )
    assert "## decode\n\nNot run." in text and "## stages\n\nNot run." not in text
    assert "2 results" in capsys.readouterr().out


def test_the_order_is_the_catalog_s(tmp_path):
    results = [written(tmp_path, name, 1.0) for name in ("memory", "decode")]
    text = page(results, ["decode", "memory"])
    assert text.index("## decode") < text.index("## memory")


def test_a_file_that_is_none_and_a_folder_that_is_none_are_one_line(tmp_path, capsys):
    (tmp_path / "x.json").write_text("{}")
    assert main([str(tmp_path), "--page", str(tmp_path / "p.md")]) == 1
    assert "x.json is no result of a benchmark" in capsys.readouterr().err
    assert main([str(tmp_path / "none")]) == 1
    assert "none is no folder" in capsys.readouterr().err
