"""Corrections change what is written; agreement is what the formulas say."""

import shutil
from collections import Counter

import pytest
from coded_wearer import coded, table, things_of

from runtime.coding.compare import main
from runtime.coding.review.agreement import agreement

ONE = dict(enumerate(["cup", "cup", "plate", "", "key", "cup", "plate", "cup"]))
OTHER = dict(enumerate(["cup", "plate", "plate", "", "key", "cup", "cup", "key"]))


def test_kappa_and_alpha_are_those_of_the_definitions():
    found = agreement(ONE, OTHER)
    count = len(ONE)
    same = sum(ONE[row] == OTHER[row] for row in ONE) / count
    first, second = Counter(ONE.values()), Counter(OTHER.values())
    chance = sum(first[name] * second[name] for name in first | second) / count**2
    assert found.kappa == pytest.approx((same - chance) / (1 - chance))
    both = first + second  # nominal alpha: observed against expected disagreement
    values = 2 * count
    expected = 1 - sum(n * (n - 1) for n in both.values()) / (values * (values - 1))
    assert found.alpha == pytest.approx(1 - (1 - same) / expected)
    assert found.same == round(same * count)
    cup = next(each for each in found.things if each.thing == "cup")
    assert (cup.one, cup.other, cup.both) == (4, 3, 2)


def test_where_nothing_differs_and_there_is_but_one_name_there_is_no_kappa():
    found = agreement({0: "cup", 1: "cup"}, {0: "cup", 1: "cup"})
    assert (found.same, found.kappa, found.alpha) == (2, None, None)
    assert agreement({0: "cup"}, {1: "cup"}).fixations == 0


def test_corrections_land_in_the_tables_and_agree_with_the_proposals_as_told(
    wearer, coding_folder, tmp_path, capsys
):
    out = tmp_path / "out"
    shutil.copytree(coding_folder, out)
    proposals = (out / "wearer" / "proposals.csv").read_text().splitlines()
    header = proposals[0].split(",")
    cells = [line.split(",") for line in proposals[1:]]
    thing = header.index("thing")
    cells[0][thing], cells[1][thing], cells[2][thing] = "teapot", "", "none of these"
    lines = [",".join(row) for row in (header, *cells)]
    (out / "wearer" / "corrections.csv").write_text("\n".join(lines) + "\n")
    assert coded(wearer.folder, out, "--things", things_of(wearer)) == 0
    rows = table(out / "wearer" / "fixations_coded.csv")
    assert [row["thing"] for row in rows[:3]] == ["teapot", "", "none of these"]
    assert {row["corrected"] for row in rows} == {"True"}
    assert "teapot" in {row["aoi label"] for row in table(out / "aoi_metrics.csv")}
    capsys.readouterr()
    assert main([str(out / "wearer" / "corrections.csv")]) == 0
    told = capsys.readouterr().out
    changed = sum(row[thing] != row[header.index("proposal")] for row in cells)
    assert f"{len(cells)} fixations coded by both, {len(cells) - changed} alike" in told


@pytest.mark.parametrize("content", ["", "a,b\n1,2\n", "row,thing\nx,cup\n"])
def test_a_file_that_is_no_correction_is_one_line(tmp_path, capsys, content):
    file = tmp_path / "corrections.csv"
    file.write_text(content)
    assert main([str(file), str(file)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and error.count("\n") == 1
