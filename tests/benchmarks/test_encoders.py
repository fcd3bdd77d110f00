"""Encoders in 8 bits beside float32: the arithmetic of the table, and the command on a bundle."""

import json

import numpy as np
import pytest

from benchmarks.encoders import main, sheets
from runtime.bundle.names import VISION, VJEPA

pytest.importorskip("torch", reason="needs the extra 'export'")


@pytest.mark.parametrize(("eight", "verdict"), [(1.0, "met"), (2.0, "NOT met")])
def test_rows_are_medians_of_paired_rounds(eight, verdict):
    times = {
        VJEPA: {"float32": [2.0, 4.0, 3.0], "int8": [eight, 2 * eight, 2.0]},
        VISION: {"float32": [1.0, 1.0, 1.0], "int8": [1.0, 1.0, 0.5]},
    }
    exact = np.full((2, 3), 2.0, np.float32)
    outputs = {VJEPA: {"float32": exact, "int8": exact * np.float32(1.01)}}
    table, asked = sheets(times, outputs, "drawn")
    vjepa, vision, both = table.rows
    ratios = [2 / eight, 4 / (2 * eight), 1.5]
    assert vjepa[1:6] == (
        3000,
        pytest.approx(1e3 * np.median([eight, 2 * eight, 2])),
        pytest.approx(np.median(ratios)),
        pytest.approx(min(ratios)),
        pytest.approx(max(ratios)),
    )
    assert vjepa[6] == pytest.approx(1.0, rel=1e-3) and vision[6] is None
    together = [3 / (eight + 1), 5 / (2 * eight + 1), 4 / 2.5]
    assert both[3] == pytest.approx(np.median(together))
    assert asked.rows[0][1] == both[3] and asked.rows[0][3] == verdict


def test_the_command(tiny_folder, tmp_path, capsys):
    figures = tmp_path / "encoders.json"
    asked = ["--bundle", str(tiny_folder), "--rounds", "2", "--threads", "1"]
    before = {file.name: file.stat().st_mtime_ns for file in tiny_folder.iterdir()}
    assert main([*asked, "--json", str(figures)]) == 0
    assert {file.name: file.stat().st_mtime_ns for file in tiny_folder.iterdir()} == before
    kept = json.loads(figures.read_text())
    assert [row[0] for row in kept["sheets"][0]["rows"]] == [VJEPA, VISION, "both"]
    for row in kept["sheets"][0]["rows"][:2]:
        assert 0.01 < row[6] < 5  # per cent: rounded, and near
    for spent in kept["details"]["seconds"].values():
        assert {way: len(each) for way, each in spent.items()} == {"float32": 2, "int8": 2}
    assert main(["--bundle", str(tmp_path / "none")]) == 1
    assert "there is no such bundle" in capsys.readouterr().err
