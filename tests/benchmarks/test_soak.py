"""The soak in small: accounts that add up, bounds that hold, and findings that can fail."""

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.instruments.findings import Finding
from benchmarks.instruments.live_memory import live_memory, slope
from benchmarks.instruments.simulated import FRAME_RATE, SimulatedStream
from benchmarks.soak import (
    INTERVAL,
    OVERLOAD,
    Soak,
    accounts,
    growth_findings,
    hour_findings,
    main,
    overload_findings,
    soak,
)
from devices.clock import NANOSECONDS
from runtime.answers.record import StreamFact
from runtime.bundle.opening import Bundle
from runtime.errors import RuntimeFault
from runtime.run.command_line import MINI


@pytest.fixture(scope="module")
def bundle(tiny_folder):
    return Bundle.open(tiny_folder)


def test_a_minute_keeps_every_bound(bundle):
    run = soak(bundle, 60.0, INTERVAL // 2, asked=[20.0, 40.0, 51.0])
    for finding in hour_findings(run, 60.0, asked=3):
        assert finding.is_met, finding
    # Ninety-seven frames of a hundred arrive; two seconds of silence at 20 s.
    assert run.summary.frames.received == 60 * 30 + 1 - 2 * 30
    assert run.summary.gaze.received == 60 * 200 + 1 - 2 * 200
    assert run.summary.frames.dropped["lost on the way"] > 15
    assert run.summary.steps == 31
    assert len(run.memory) >= 60


def test_an_overloaded_machine_drops_frames_and_never_lags(bundle):
    cost = OVERLOAD * INTERVAL
    run = soak(bundle, 60.0, cost, rate=FRAME_RATE)
    for finding in overload_findings(run, cost):
        assert finding.is_met, finding
    assert run.summary.frames.used == pytest.approx(60 * NANOSECONDS / cost, rel=0.1)
    assert run.summary.steps >= 30
    # The same machine with half the bound in its limits would fail.
    assert not all(finding.is_met for finding in overload_findings(run, cost // 2))


def test_the_real_models_of_a_small_bundle(bundle):
    run = soak(bundle, 4.0, 0, asked=[2.0], real=True)
    for finding in hour_findings(run, 4.0, asked=1):
        assert finding.is_met, finding
    assert run.summary.frames.used >= 100


def test_memory_that_grows_is_found():
    class Summary:
        frames = gaze = StreamFact(5, 2, {"lost": 2})
        answers = 0
        steps_dropped = 0

    seconds = np.arange(3600.0)
    growing = np.stack([seconds, 100 + seconds / 1800], axis=1)
    run = Soak(Summary(), growing, 0, 0, 0)
    assert run.slope() == pytest.approx(2.0)
    failed = [finding.name for finding in hour_findings(run, 3600.0, 0) if not finding.is_met]
    assert failed == ["frames unaccounted for", "gaze unaccounted for", "growth of resident memory"]
    assert [finding.figure for finding in accounts(Summary())] == [1, 1]
    (found,) = growth_findings("live", slope(growing), 3600.0)
    assert found.figure == pytest.approx(2.0) and not found.is_met
    assert growth_findings("live", slope(growing[:10]), 10.0) == []


def test_a_stream_is_the_same_however_it_is_polled():
    def samples(tick):
        device = SimulatedStream(40.0)
        found = []
        with device:
            while not (delivery := device.poll()).ended:
                found += delivery.samples
                device.clock.sleep_until(device.clock.now() + tick)
            return [
                (type(s).__name__, s.captured_at) for s in (*found, *delivery.samples)
            ], device.counts()

    fine, coarse = samples(7_000_000), samples(130_000_000)
    assert sorted(fine[0]) == sorted(coarse[0])
    assert fine[1] == coarse[1]


def test_the_command_prints_a_table_and_writes_its_figures(tiny_folder, tmp_path, capsys):
    out = tmp_path / "soak.json"
    options = ["--bundle", str(tiny_folder), "--seconds", "30", "--overloaded-seconds", "20"]
    options += ["--live-seconds", "3"]
    assert main([*options, "--json", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "frames unaccounted for" in printed
    assert "live command: " in printed and "MiB per hour" in printed
    facts = json.loads(out.read_text())
    assert all(finding["met"] for finding in facts["findings"])
    facts = facts["details"]
    assert [row[0] for row in facts["live_memory"]] == pytest.approx([0, 1, 2, 3], abs=0.02)
    assert all(20 < row[1] < 2000 for row in facts["live_memory"])
    assert facts["models"] == "simulated" and facts["summary"]["kind"] == "summary"
    assert main(["--bundle", str(tmp_path / "none")]) == 1


def test_a_finding_is_met_up_to_its_limit():
    assert Finding("x", 1.0, 1.0).is_met and not Finding("x", 1.001, 1.0).is_met


def test_a_live_command_that_fails_is_one_line(tmp_path):
    with pytest.raises(RuntimeFault, match="there is no such bundle"):
        live_memory(tmp_path / "none", 3.0)


def children(process):
    """Process ids."""
    return Path(f"/proc/{process}/task/{process}/children").read_text().split()


def test_the_live_command_ends_with_a_soak_that_is_killed():
    code = (
        "import sys, pathlib; from benchmarks.instruments.live_memory import live_memory as run; "
    )
    code += "run(pathlib.Path(sys.argv[1]), 36000.0)"
    soaking = subprocess.Popen([sys.executable, "-c", code, MINI])
    try:
        while not (found := children(soaking.pid)):
            assert soaking.poll() is None
            time.sleep(0.05)
        waited = os.pidfd_open(int(found[0]))
        time.sleep(0.2)  # the child asks between its start and its program's
    finally:
        soaking.send_signal(signal.SIGKILL)
        soaking.wait()
    ended, _, _ = select.select([waited], [], [], 30.0)
    os.close(waited)
    if not ended:
        os.kill(int(found[0]), signal.SIGKILL)
    assert ended
