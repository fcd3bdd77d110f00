"""The table that a GPU fills, on a CPU."""

from benchmarks.gpu import main
from runtime.engines.choice import Machine
from runtime.run.command_line import MINI

BARE = Machine(None, ("CPUExecutionProvider",), {})


def test_every_stage_has_a_row_and_shares_of_the_peaks(capsys):
    peaks = ["--bandwidth", "100", "--peak", "1"]
    assert main([str(MINI), "--rounds", "2", *peaks], BARE) == 0
    heading, engine, _, *table = capsys.readouterr().out.splitlines()
    assert heading.startswith("mini (") and "for cpu) on no GPU" in heading
    assert engine == "engine cpu: no NVIDIA GPU found"
    rows = {line.split("|")[1].strip(): line.split("|")[2:4] for line in table[2:]}
    assert list(rows) == [
        "V-JEPA, a pair",
        "vision, a pair",
        "residuals of a new gaze",
        "prefill of 16 tokens",
        "the same into two contexts",
        "time to first token",
        "decode, a token",
    ]
    assert all(float(cells[0]) > 0 for cells in rows.values())
    assert sum("% of peak" in cells[1] for cells in rows.values()) == 2


def test_an_engine_that_is_not_there_is_one_line(capsys):
    assert main([str(MINI), "--engine", "cuda"], BARE) == 1
    assert capsys.readouterr().err.startswith("error: --engine cuda: no NVIDIA GPU found")
