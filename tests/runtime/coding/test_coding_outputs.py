"""What a coding writes: read back by pandas, and computed again from the coded table alone."""

import base64
import gzip
import json
import re
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from coded_wearer import table

NONE = "none of these"


@pytest.fixture(scope="module")
def coded_table(coding_folder):
    return pd.read_csv(coding_folder / "wearer" / "fixations_coded.csv", keep_default_na=False)


def test_most_fixations_get_the_thing_that_they_were_on(wearer, coded_table):
    truth = pd.Series([thing or NONE for thing in wearer.truth])
    sure = coded_table["unsure"].astype(str) == "False"
    assert sure.mean() > 0.8
    assert (coded_table["thing"] == truth)[sure].mean() > 0.9


def test_the_makers_columns_are_byte_equal(wearer, coding_folder):
    his = (wearer.folder / "fixations.csv").read_bytes().splitlines(keepends=True)
    ours = (coding_folder / "wearer" / "fixations_coded.csv").read_bytes().splitlines(keepends=True)
    assert len(ours) == len(his)
    for before, after in zip(his, ours, strict=True):
        text = before.rstrip(b"\r\n")
        assert after.startswith(text + b",")
        assert after[len(after.rstrip(b"\r\n")) :] == before[len(text) :]


def test_metrics_are_those_that_pandas_finds_in_the_coded_table(wearer, coding_folder, coded_table):
    frame = coded_table[~coded_table["thing"].isin(["", NONE])].copy()
    frame["ms"] = (frame["end timestamp [ns]"] - frame["start timestamp [ns]"]) / 1e6
    frame["label"] = frame["thing"] + np.where(frame["also"] == "", "", "; " + frame["also"])
    each = frame.assign(label=frame["label"].str.split("; ")).explode("label")
    start = pd.read_csv(wearer.folder / "world_timestamps.csv")["timestamp [ns]"].iloc[0]
    wanted = each.groupby("label").agg(
        average=("ms", "mean"),
        count=("ms", "size"),
        first=("start timestamp [ns]", "min"),
        total=("ms", "sum"),
    )
    found = pd.read_csv(coding_folder / "aoi_metrics.csv").set_index("aoi label")
    assert set(found.index) == set(wanted.index)
    found = found.loc[wanted.index]
    assert np.allclose(found["average fixation duration [ms]"], wanted["average"], atol=1e-3)
    assert (found["total fixations"] == wanted["count"]).all()
    assert np.allclose(
        found["time to first fixation [ms]"], (wanted["first"] - start) / 1e6, atol=1e-3
    )
    assert np.allclose(found["total fixation duration [ms]"], wanted["total"], atol=1e-3)


def test_visits_and_transitions_are_those_of_the_coded_table(coding_folder, coded_table):
    order = coded_table.sort_values("start timestamp [ns]")["thing"]
    runs = order[order != order.shift()]
    wanted = runs[~runs.isin(["", NONE])].value_counts()
    visits = pd.read_csv(coding_folder / "aoi_visits.csv").set_index("aoi label")
    assert visits.loc[visits["visits"] > 0, "visits"].to_dict() == wanted.to_dict()
    assert ((visits["visits"] - 1).clip(lower=0) == visits["revisits"]).all()
    known = runs[runs != ""].tolist()
    pairs = [p for p in pairwise(known) if p[0] != p[1]]
    counted = pd.Series(pairs).value_counts().to_dict()
    rows = table(coding_folder / "wearer" / "transitions.csv")
    assert {(row["from"], row["to"]): int(row["count"]) for row in rows} == counted
    whole = (coded_table["end timestamp [ns]"] - coded_table["start timestamp [ns]"]).sum()
    for thing, row in visits.iterrows():
        own = coded_table[(coded_table["thing"] == thing) | (coded_table["also"] == thing)]
        spent = (own["end timestamp [ns]"] - own["start timestamp [ns]"]).sum()
        assert row["share of fixation time"] == pytest.approx(spent / whole, abs=1e-5)


@pytest.mark.parametrize(
    ("name", "header"),
    [
        (
            "aoi_fixations.csv",
            "label id,aoi label,section id,recording id,fixation id,fixation duration [ms]",
        ),
        (
            "aoi_metrics.csv",
            "label id,recording id,recording name,aoi label,average fixation duration [ms],"
            "total fixations,time to first fixation [ms],total fixation duration [ms]",
        ),
        ("wearer/events.csv", "recording id,timestamp [ns],name,type"),
    ],
)
def test_tables_have_the_makers_names_in_his_order(coding_folder, name, header):
    assert (coding_folder / name).read_text().splitlines()[0] == header


def test_events_open_and_close_every_visit(coding_folder):
    rows = table(coding_folder / "wearer" / "events.csv")
    names = [row["name"] for row in rows]
    assert names and [f"{name} end" for name in names[::2]] == names[1::2]
    times = [int(row["timestamp [ns]"]) for row in rows]
    assert all(begin < end for begin, end in zip(times[::2], times[1::2], strict=True))


def test_bids_files_agree_with_their_sidecars(wearer, coding_folder, coded_table):
    (folder,) = (coding_folder / "bids").glob("sub-*/beh")
    stem = "sub-wearer_task-gaze_recording-cyclopean"
    gaze = pd.read_csv(folder / f"{stem}_physio.tsv.gz", sep="\t", header=None)
    about = json.loads((folder / f"{stem}_physio.json").read_text())
    raw = pd.read_csv(wearer.folder / "gaze.csv")
    assert gaze.shape == (len(raw), len(about["Columns"]))
    assert (gaze[0] == raw["timestamp [ns]"]).all()
    worn = raw["worn"] > 0
    assert np.allclose(gaze[1][worn], raw["gaze x [px]"][worn], atol=2e-3)
    assert gaze[1][~worn].isna().all()
    assert about["SamplingFrequency"] == pytest.approx(200, rel=1e-3)
    about = json.loads((folder / f"{stem}_physioevents.json").read_text())
    with gzip.open(folder / f"{stem}_physioevents.tsv.gz", "rt") as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    events = pd.DataFrame(rows, columns=about["Columns"])
    assert about["Columns"][:4] == ["onset", "duration", "trial_type", "message"]
    assert events["onset"].astype(int).tolist() == coded_table["start timestamp [ns]"].tolist()


def test_elan_tiers_hold_every_known_fixation_without_overlap(coding_folder, coded_table):
    root = ElementTree.parse(coding_folder / "wearer" / "coding.eaf").getroot()
    times = {s.get("TIME_SLOT_ID"): int(s.get("TIME_VALUE")) for s in root.iter("TIME_SLOT")}
    tiers = {tier.get("TIER_ID"): tier for tier in root.iter("TIER")}
    spans = [
        (times[a.get("TIME_SLOT_REF1")], times[a.get("TIME_SLOT_REF2")], a[0].text)
        for a in tiers["fixation"].iter("ALIGNABLE_ANNOTATION")
    ]
    known = coded_table[coded_table["thing"] != ""]
    assert [text for *_, text in spans] == known["thing"].tolist()
    assert all(one[1] <= other[0] for one, other in pairwise(spans))
    assert "visit" in tiers


def test_the_report_needs_nothing_but_itself(coding_folder, coded_table):
    page = (coding_folder / "wearer" / "report.html").read_text()
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", page)
    pictures = re.findall(r"data:image/jpeg;base64,([^\"]+)", page)
    assert len(pictures) >= len(coded_table)
    assert all(base64.b64decode(picture)[:2] == b"\xff\xd8" for picture in pictures)
    for number in range(len(coded_table)):
        assert f'id="f{number}"' in page
    for name in ("scarf", "dwell", "transitions"):
        svg = ElementTree.parse(coding_folder / "wearer" / f"{name}.svg").getroot()
        assert svg.tag.endswith("svg")
