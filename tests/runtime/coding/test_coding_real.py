"""Real files run through; mini's names mean nothing there, and the report says so."""

import pandas as pd
from coded_wearer import coded
from drawn_recording import draw_video

FIXATIONS = "OP03-R01-PastaSalad_fixation_filtered.csv"


def test_the_real_neon_recording_is_coded(shared_data, tmp_path):
    out = tmp_path / "out"
    recording = shared_data / "neon-recording"
    assert coded(recording, out, "--things", "cup,plate", "--bids") == 0
    folder = out / "neon-recording"
    table = pd.read_csv(folder / "fixations_coded.csv")
    assert len(table) == 6 and table["confidence"].between(0, 1).all()
    assert table["recording id"].nunique() == 1
    assert "mean nothing" in (folder / "report.html").read_text()
    for name in ("aoi_fixations.csv", "aoi_metrics.csv", "aoi_visits.csv"):
        pd.read_csv(out / name)


def test_the_real_fixation_file_keeps_its_bytes(shared_data, tmp_path):
    """Its video is not to be had: a drawn one of the same length stands in."""
    file = shared_data / "streamgaze" / FIXATIONS
    seconds = int(pd.read_csv(file)["end_time_seconds"].max()) + 1
    video = draw_video(tmp_path / "OP03-R01-PastaSalad.mp4", seconds, rate=1)
    out = tmp_path / "out"
    assert coded(video, out, "--fixation-file", str(file), "--things", "pan,pot") == 0
    ours = (out / video.stem / "fixations_coded.csv").read_bytes().splitlines()
    his = file.read_bytes().splitlines()
    assert len(ours) == len(his)
    assert all(after.startswith(before + b",") for before, after in zip(his, ours, strict=True))
