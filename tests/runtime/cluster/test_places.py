"""Shards, what is handed over, makespans, and what is said where an extra is missing."""

import argparse
import subprocess
import sys
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from makespans import ideal, makespan

from runtime.cluster.handing_over import packed, unpacked
from runtime.cluster.shards import Shard
from runtime.cluster.units import ClusterError, Unit, largest_first


def test_shards_share_out_every_unit_once_and_evenly():
    units = [Unit(f"unit {n}", float(n)) for n in range(1, 101)]
    parts = [Shard(index, 3).of(units) for index in (1, 2, 3)]
    assert sum(len(part) for part in parts) == 100 and len(frozenset().union(*parts)) == 100
    loads = [sum(unit.cost for unit in units if unit.key in part) for part in parts]
    assert max(loads) - min(loads) <= 3
    assert parts == [Shard(index, 3).of(units[::-1]) for index in (1, 2, 3)]


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/", "-1/2"])
def test_another_shard_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError):
        Shard.parse(text)


def test_a_bundle_is_handed_over_whole_or_not_at_all(tmp_path):
    folder = tmp_path / "bundle"
    (folder / "graphs").mkdir(parents=True)
    (folder / "graphs" / "one.onnx").write_bytes(b"one")
    given = packed(folder)
    there = unpacked(given, tmp_path)
    assert (there / "graphs" / "one.onnx").read_bytes() == b"one"
    assert unpacked(given, tmp_path) == there
    with pytest.raises(ClusterError, match="arrived altered"):
        unpacked(replace(given, files=(("graphs/one.onnx", b"two"),)), tmp_path)


def test_a_makespan_is_that_of_every_hand_made_schedule():
    assert makespan([5, 4, 3, 3, 3], 2) == 10  # 5 + 3 + ... by hand: 5, 4, 4+3, 5+3, 7+3
    assert makespan([4, 4, 4], 3, overhead=0.5) == 4.5
    best = min(makespan(order, 2) for order in permutations([5, 4, 3, 3, 3]))
    assert best >= ideal([5, 4, 3, 3, 3], 2) == 9


@pytest.mark.parametrize(
    ("workers", "largest", "drawn", "smallest"),
    [(8, 0.998, 0.965, 0.943), (64, 0.957, 0.629, 0.596), (512, 1.0, 1.0, 1.0)],
)
def test_the_order_of_units_is_what_docs_cluster_says_of_it(workers, largest, drawn, smallest):
    lengths = np.random.default_rng(0).lognormal(0, 0.5, 285)
    lengths *= 300 * 3600 / lengths.sum()
    units = [Unit(f"video {n}", float(length)) for n, length in enumerate(lengths)]
    ordered = [unit.cost for unit in largest_first(units)]
    least = ideal(ordered, workers)
    found = [least / makespan(order, workers) for order in (ordered, lengths, sorted(lengths))]
    assert found[0] >= 0.9
    assert found == pytest.approx([largest, drawn, smallest], abs=5e-4)


def test_nothing_of_ray_is_imported_without_being_asked_for():
    program = (
        "import sys, benchmarks.streamgaze.__main__, runtime.coding.__main__; "
        "sys.exit(any(name in sys.modules for name in ('ray', 'submitit')))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize(("on", "package"), [("ray", "ray"), ("slurm", "submitit")])
def test_without_the_extra_it_is_one_line(tmp_path, monkeypatch, capsys, on, package):
    from drawn_streamgaze import choice, draw_set

    from benchmarks.streamgaze.__main__ import main
    from runtime.run.command_line import MINI

    for name in ("runtime.cluster.ray_place", "runtime.cluster.slurm"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    drawn = draw_set(tmp_path, {"one": 9}, {"past_scene_recall": [("one", [choice(5)])]})
    out = ("--bundle", MINI, "--out", tmp_path / "out", "--on", on)
    assert main(drawn.options(*out)) == 1
    said = capsys.readouterr().err
    assert "needs the extra 'cluster'" in said and said.count("\n") == 1
