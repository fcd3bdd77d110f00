"""The emulated processor, where the command line says where it is."""

from pathlib import Path

import pytest
from emulation import Emulation


@pytest.fixture(scope="session")
def emulated(request):
    folder = request.config.getoption("--arm64")
    if folder is None:
        pytest.skip("needs an emulated ARM64: .ci/arm64 DIR, then --arm64 DIR")
    return Emulation(Path(folder).absolute())
