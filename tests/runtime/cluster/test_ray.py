"""Real processes of Ray on two simulated nodes: they are killed, and nothing is lost or twice."""

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from drawn_streamgaze import choice, draw_set
from drawn_work import LARGE, LOOPBACK, KeptStore

from runtime.cluster.dispatch import Dispatcher, Rules
from runtime.cluster.units import ClusterError, Opener, Unit
from runtime.run.command_line import MINI

pytestmark = pytest.mark.cluster
HELD = 30  # MiB
ray = pytest.importorskip("ray", reason="needs the extra 'cluster'")


def dispatch(folder, units, workers=2, heard=lambda happened: None, **rules):
    from runtime.cluster.ray_place import Needs, RayPlace

    store = KeptStore()
    place = RayPlace(Opener("drawn_work:open_work", (str(folder),)), Needs(cores=1))
    Dispatcher(place, store, Rules(poll=0.2, **rules), heard).run(units, workers)
    return store


def test_killed_workers_lose_nothing_and_poison_is_skipped(joined, tmp_path):
    names = ["once-a", "once-b", "poison-c", "wrong-d", *(f"fine-{n}" for n in range(8))]
    store = dispatch(tmp_path, [Unit(name, 1.0) for name in names])
    assert sorted(store.written) == sorted(names[:2] + names[4:])
    assert set(store.skipped) == {"poison-c", "wrong-d"}
    assert "tried 3 times: its process ended" in store.skipped["poison-c"]
    assert "ValueError: no such frame" in store.skipped["wrong-d"]
    assert (tmp_path / "poison-c").read_bytes() == b"xxx"
    assert all((tmp_path / name).read_bytes() == b"x" for name in names[4:])


def test_a_worker_that_hangs_is_replaced(joined, tmp_path):
    store = dispatch(tmp_path, [Unit("hang-a", 2.0), Unit("fine-b", 1.0)], stalled_after=3.0)
    assert sorted(store.written) == ["fine-b", "hang-a"]


def test_a_lost_node_loses_nothing(joined, tmp_path):
    node = joined.add_node(num_cpus=2, resources={"third": 1}, **LOOPBACK)
    units = [Unit(f"fine-{n}", 1.0) for n in range(400)]
    lost = []

    def heard(happened):
        if happened.what == "written" and not lost:
            lost.append(True)
            threading.Thread(target=joined.remove_node, args=(node, False)).start()
        time.sleep(0.02)

    store = dispatch(tmp_path, units, workers=6, heard=heard)
    assert lost and sorted(store.written) == sorted(unit.key for unit in units)


def test_no_cluster_at_an_address_is_one_line():
    from runtime.cluster.ray_place import Connection

    with pytest.raises(ClusterError, match=r"--address 127.0.0.1:1: no Ray cluster answers"):
        Connection("127.0.0.1:1", False)


def test_a_ray_that_does_not_start_is_one_line(monkeypatch):
    from runtime.cluster.ray_place import Connection

    def init(**options):
        raise Exception("The current node timed out during startup.\nSee the logs.")

    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(ClusterError) as raised:
        Connection(None, False)
    assert "does not start on this machine: The current node" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_object_store_and_driver_stay_flat(joined, tmp_path):
    """Ten thousand units, each tenth with pictures, which come through the object store."""
    driver, store = [], []

    def stored():
        whole = ray.cluster_resources()["object_store_memory"]
        return (whole - ray.available_resources()["object_store_memory"]) / 2**20

    def heard(happened):
        _, resident, shared, *_ = map(int, Path("/proc/self/statm").read_text().split())
        own = resident - shared  # the store's memory is shared
        driver.append(own * os.sysconf("SC_PAGE_SIZE") / 2**20)
        if len(driver) % 250 == 0:
            store.append(stored())

    held = ray.put(bytes(HELD << 20))  # so that it is seen that the store is seen
    until = time.monotonic() + 30
    while stored() < HELD and time.monotonic() < until:  # Ray counts again every second or so
        time.sleep(0.1)
    kinds = ("large" if n % 10 == 0 else "fine" for n in range(10_000))
    units = [Unit(f"{kind}-{n}", 10_000.0 - n) for n, kind in enumerate(kinds)]
    dispatch(tmp_path, units, heard=heard)
    assert driver[-1] - driver[len(driver) // 2] < 8  # MiB
    come = 1_000 * LARGE / 2**20
    assert min(store) >= HELD and max(store) < HELD + come / 20, "what came was let go"
    del held


def test_a_driver_that_is_killed_goes_on_where_it_was(nodes, tmp_path):
    """Two workers, then three; the results are those of one process, byte for byte."""
    from benchmarks.streamgaze.__main__ import main
    from benchmarks.streamgaze.merging import merge

    videos = {f"video{n}": 9 for n in range(8)}
    asked = [(stem, [choice(second) for second in range(1, 10)]) for stem in videos]
    drawn = draw_set(tmp_path / "set", videos, {"past_scene_recall": asked})
    given = drawn.options("--bundle", MINI, "--out")
    assert main([*given, str(tmp_path / "local")]) == 0
    out = tmp_path / "ray"
    command = [*given, str(out), "--on", "ray", "--address", nodes.address, "--workers"]
    driver = subprocess.Popen([sys.executable, "-m", "benchmarks.streamgaze", *command, "2"])
    results = out / "results.jsonl"
    while driver.poll() is None and not (results.is_file() and results.stat().st_size):
        time.sleep(0.01)
    driver.kill()
    driver.wait()
    before = len(results.read_bytes().splitlines())
    assert 0 < before < 72, "the run ended before it was disturbed"
    assert main([*command, "3"]) == 0
    for name in ("local", "ray"):
        merge([tmp_path / name], tmp_path / f"sorted-{name}", is_untimed=True)
    whole = (tmp_path / "sorted-local" / "results.jsonl").read_bytes()
    assert len(whole.splitlines()) == 72
    assert (tmp_path / "sorted-ray" / "results.jsonl").read_bytes() == whole
    assert len(results.read_bytes().splitlines()) == 72
