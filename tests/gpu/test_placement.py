"""Where every node of mini ran on WebGPU, and what of a frame visited the host: from profiles."""

import json
from pathlib import Path

import pytest
from software_gpu import ROOT

from runtime.run.command_line import MINI

pytestmark = pytest.mark.software_gpu
PROGRAM = Path(__file__).with_name("profiled.py")
HOST, DEVICE = "CPUExecutionProvider", "WebGpuExecutionProvider"


@pytest.fixture(scope="module", params=["gpu", "plugin"])
def found(request):
    gpu = request.getfixturevalue(request.param)
    found = json.loads(gpu.python(PROGRAM, MINI).splitlines()[-1])
    for graph, nodes in found["nodes"].items():
        print(request.param, graph, nodes)
    return found


@pytest.mark.parametrize("graph", ["decoder", "resampler.scene", "resampler.gaze"])
def test_no_node_of_the_decoder_or_the_resampler_is_on_the_host(found, graph):
    assert found["nodes"][graph][DEVICE] >= 15
    assert HOST not in found["nodes"][graph]


@pytest.mark.parametrize(("graph", "least", "most"), [("vjepa", 160, 5), ("vision", 170, 2)])
def test_the_encoders_leave_arithmetic_on_sizes_to_the_host(found, graph, least, most):
    assert found["nodes"][graph][DEVICE] >= least
    assert found["nodes"][graph][HOST] <= most
    # Of floats only the cast of a frame's bytes, on their way to the device.
    assert set(found["computed"]) <= {"vision: Cast", "vjepa: Cast"}


def test_no_tensor_of_a_frame_visits_the_host_but_what_is_asked_for(found):
    assert found["fetched"] == []
    assert found["step"] == []
    assert found["question"] == [["decoder", "logits"]]


def test_the_document_tells_these_numbers(found):
    rows = (ROOT / "docs/engines.md").read_text().splitlines()
    for graph, nodes in found["nodes"].items():
        (row,) = (row for row in rows if row.startswith(f"| {graph} |"))
        assert f" {nodes.get(HOST, 0)} of {sum(nodes.values())} |" in row
