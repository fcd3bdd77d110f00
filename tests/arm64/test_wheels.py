"""Whatever ARM64 needs is to be had as a wheel: asked of pip, nothing is installed."""

import subprocess
import sys
import tomllib

import pytest
from emulation import ROOT

pytestmark = pytest.mark.arm64
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PYTHONS = ("3.11", "3.12", "3.13")
PLATFORMS = [f"manylinux_2_{minor}" for minor in range(39, 16, -1)] + ["manylinux2014"]
EXTRAS = sorted(set(PROJECT["optional-dependencies"]) - {"test"})  # which is the others together
# A device that runs a bundle needs neither; JetPack brings a TensorRT of its own.
NO_WHEEL = {
    "tensorrt": "a source package that fetches what it is made of",
    "tensorrt-rtx": "NVIDIA makes it for x86-64 alone",
}


@pytest.mark.parametrize("python", PYTHONS)
@pytest.mark.parametrize("extra", EXTRAS)
def test_every_dependency_has_a_wheel(request, tmp_path, extra, python):
    if request.config.getoption("--arm64") is None:
        pytest.skip("asks the package index: with --arm64 only")
    tag = f"cp{python.replace('.', '')}"
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--target", tmp_path]
    command += ["--only-binary=:all:", "--implementation", "cp", "--python-version", python]
    command += ["--abi", tag, "--abi", "abi3", "--abi", "none"]
    for platform in PLATFORMS:
        command += ["--platform", f"{platform}_aarch64"]
    command += [*PROJECT["dependencies"], *PROJECT["optional-dependencies"][extra]]
    ended = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=False, timeout=600
    )
    if extra in NO_WHEEL:
        assert ended.returncode != 0, f"there is a wheel now; once: {NO_WHEEL[extra]}"
    else:
        assert ended.returncode == 0, ended.stderr[-2000:]
