"""The page of results: what machines gave, in the order of the benchmarks, and what nobody ran."""

from xml.etree import ElementTree

from benchmarks.instruments.conditions import Conditions, input_hash
from benchmarks.instruments.findings import Finding
from benchmarks.instruments.page.chart import BAR, Bar, chart
from benchmarks.instruments.page.summary import BEGIN, END, NOTHING, rewritten
from benchmarks.instruments.result import Result, Sheet
from benchmarks.results import README, main, page, read_results

MARKED = f"# A page\n\n{BEGIN}\nold\n{END}\n\nThe rest.\n"


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
    file, readme = tmp_path / "page.md", tmp_path / "README.md"
    readme.write_text(MARKED)
    assert main([str(tmp_path), "--page", str(file), "--readme", str(readme)]) == 0
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


def run_results(folder, name, sheets, details=None):
    told = Result(name, Conditions.here("once", input_hash(1)), sheets, details=details or {})
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_bytes(told.json())


def test_the_readme_gets_its_lines_and_the_chart_and_keeps_the_rest(tmp_path):
    columns = ("", "tokens/s", "prefill tokens/s")
    rows = (("PyTorch bf16", 5.0, 150.0), ("int8", 20.0, 300.0), ("a peer", 40.0, 75.0))
    rows += (("no peer: not measured: none", None, None),)
    shape = {"shape": "0.5b", "threads": 1}
    run_results(tmp_path / "a", "decode", (Sheet("", columns, rows),), shape)
    injected = (("int8, plain", None), ("int8, with residuals", 1.01))
    injected += (("PyTorch bf16, plain", None), ("PyTorch bf16, with residuals", 1.07))
    run_results(tmp_path / "a", "injection", (Sheet("", ("", "times plain"), injected),))
    readme = tmp_path / "README.md"
    readme.write_text(MARKED)
    given = [str(tmp_path), "--page", str(tmp_path / "page.md"), "--readme", str(readme)]
    assert main(given) == 0
    text = readme.read_text()
    assert text.startswith("# A page\n") and text.endswith("The rest.\n") and "old" not in text
    assert "decode 20 tokens/s (int8), prefill 300 (int8); PyTorch bf16 5 and 150" in text
    assert "residuals cost a prefill 1.01 times plain, hooks in PyTorch 1.07" in text
    assert "(results.svg)" in text
    assert main(given) == 0
    assert readme.read_text() == text


def test_bars_are_as_long_as_their_figures(tmp_path):
    bars = [Bar("a & b", True, (40.0, None)), Bar("c", False, (10.0, 3.0))]
    drawn = ElementTree.fromstring(chart("t", ("one", "two"), bars))
    widths = [float(each.get("width")) for each in drawn if each.tag.endswith("rect")]
    assert widths == [BAR, BAR / 4, BAR]
    said = [each.text for each in drawn if each.tag.endswith("text")]
    assert {"a & b", "c", "40", "10", "3", "not measured"} <= set(said)


def test_a_readme_without_marks_is_one_line_and_stays_as_it_is(tmp_path, capsys):
    readme = tmp_path / "README.md"
    readme.write_text("nothing here")
    assert main([str(tmp_path), "--page", str(tmp_path / "p"), "--readme", str(readme)]) == 1
    assert capsys.readouterr().err.startswith(f"error: {readme}: it has no place for them")
    assert readme.read_text() == "nothing here" and not (tmp_path / "p").exists()


def test_where_nothing_was_measured_the_readme_says_so(tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(MARKED)
    assert main([str(tmp_path), "--page", str(tmp_path / "p"), "--readme", str(readme)]) == 0
    assert NOTHING in readme.read_text() and "svg" not in readme.read_text()


def test_the_readme_of_the_project_has_its_marks():
    assert (
        rewritten(README.read_text(encoding="utf-8"), ["- just this"], None).count("- just this")
        == 1
    )
