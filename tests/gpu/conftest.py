"""The software GPU, where the command line says where it is."""

from dataclasses import replace
from pathlib import Path

import pytest
from software_gpu import SoftwareGpu


@pytest.fixture(scope="session")
def gpu(request):
    folder = request.config.getoption("--gpu")
    if folder is None:
        pytest.skip("needs a software GPU: .ci/gpu DIR, then --gpu DIR")
    return SoftwareGpu(Path(folder).absolute())


@pytest.fixture(scope="session")
def plugin(gpu):
    """The same device, taken by the plugin beside the usual ONNX Runtime."""
    return replace(gpu, plugin=True)
