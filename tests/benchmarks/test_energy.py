"""Joules by stage on an injected meter and clock, and the meters that real machines have."""

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

from benchmarks.energy import NOT_MEASURED, main, measure, sheet
from benchmarks.instruments.pipeline import Stage
from benchmarks.instruments.power import NvmlMeter, RailMeter, open_meter, watts_of
from runtime.engines.choice import Machine

BARE = Machine(None, ("CPUExecutionProvider",), {})
ORIN = (
    "RAM 2463/15827MB (lfb 3085x4MB) CPU [2%@729,off] GR3D_FREQ 0% cpu@43.9C "
    "VDD_IN 4680mW/4594mW VDD_CPU_GPU_CV 520mW/483mW VDD_SOC 1402mW/1391mW"
)
AGX = "RAM 1/2MB VDD_GPU_SOC 2401mW/2401mW VDD_CPU_CV 400mW/400mW VIN_SYS_5V0 3826mW/3826mW"
RAILS = "RAM 1/2MB VDD_GPU 1000mW/900mW VDD_CPU 500mW/400mW"


class Bench:
    """A clock that passes while work is done, and a meter of what that draws."""

    name = "bench"

    def __init__(self, rest):
        self.now, self._joules, self._rest = 0.0, 0.0, rest

    def run(self, seconds, watts):
        self.now += seconds
        self._joules += seconds * watts

    def sleep(self, seconds):
        self.run(seconds, self._rest)

    def joules(self):
        return self._joules


def test_what_is_drawn_above_rest_is_shared_among_the_runs():
    bench, rewound = Bench(rest=4.0), []
    stages = (
        Stage("light", lambda: bench.run(0.5, 6.0)),
        Stage("heavy", lambda: bench.run(2.0, 14.0)),
    )
    pipeline = SimpleNamespace(stages=stages, rewind=lambda: rewound.append(1))
    rest, found = measure(pipeline, bench, 4.0, lambda: bench.now, bench.sleep)
    assert rest.watts == 4.0
    assert sheet("", rest, found).rows == (
        ("at rest", 1, None, None, 4.0),
        ("light", 8, pytest.approx(1.0), pytest.approx(2.0), pytest.approx(6.0)),
        ("heavy", 2, pytest.approx(20.0), pytest.approx(10.0), pytest.approx(14.0)),
    )
    assert len(rewound) == 2 + 8 + 2  # each has run before


@pytest.mark.parametrize(("line", "watts"), [(ORIN, 4.68), (AGX, 3.826), (RAILS, 1.5), ("x", None)])
def test_a_line_of_tegrastats_tells_the_power_of_the_module(line, watts):
    assert watts_of(line) == watts


def test_power_holds_until_the_next_line():
    now = [10.0]
    meter = RailMeter(lambda: now[0])
    for at, line in ((11.0, RAILS), (13.0, "nothing"), (15.0, ORIN)):
        now[0] = at
        meter.hear(line)
    now[0] = 16.0
    assert meter.joules() == pytest.approx(4 * 1.5 + 4.68)
    assert meter.joules() == pytest.approx(4 * 1.5 + 4.68)


def test_nvml_counts_in_millijoules():
    counted = iter((0, 2500))
    driver = SimpleNamespace(
        nvmlDeviceGetName=lambda gpu: "some GPU",
        nvmlDeviceGetTotalEnergyConsumption=lambda gpu: next(counted),
    )
    meter = NvmlMeter(driver, None)
    assert (meter.name, meter.joules()) == ("NVML, some GPU", 2.5)


def test_a_jetson_is_measured_by_tegrastats(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    program = tmp_path / "tegrastats"
    program.write_text(f"#!/bin/sh\nwhile true; do echo '{ORIN}'; sleep 0.05; done\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with open_meter() as meter:
        first = meter.joules()
        subprocess.run(["sleep", "0.1"], check=True)
        assert meter.joules() > first
    assert "tegrastats" in meter.name


def test_a_machine_without_a_meter_is_said_to_be_not_measured(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    file = tmp_path / "energy.json"
    assert main(["--json", str(file)], BARE) == 0
    (table,) = json.loads(file.read_text())["sheets"]
    assert table["rows"] == [[NOT_MEASURED, None, None, None, None]]
