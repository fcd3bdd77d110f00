"""Whatever ARM64 needs is to be had as a wheel: asked of pip, nothing is installed."""

import subprocess
import sys

import pytest
from emulation import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest brings it

pytestmark = pytest.mark.arm64
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
PLATFORMS = [f"manylinux_2_{minor}" for minor in range(39, 16, -1)] + ["manylinux2014"]
# Extras that ARM64 can't have as wheels, the distribution that has none, and why.
NO_WHEEL = {
    "glasses": ("pycolmap", "glassesTools asks for it: made for x86-64 and for Apple's processors"),
    "peers": ("llama-cpp-python", "a source package, built with cmake"),
    "tensorrt": ("tensorrt", "a source package; JetPack brings a TensorRT of its own"),
    "tensorrt-rtx": ("tensorrt-rtx", "NVIDIA makes it for x86-64 alone"),
}
# JetPack 6 has this Python: its GPU wheel has to be built (docs/jetson.md), and the plugin of
# WebGPU wants a later one.
WITHOUT = {"3.10": {"gpu", "webgpu"}}
EXTRAS = set(PROJECT["optional-dependencies"]) - {"test"} - set(NO_WHEEL)  # test: the others


@pytest.fixture(autouse=True)
def asked(request):
    if request.config.getoption("--arm64") is None:
        pytest.skip("asks the package index: with --arm64 only")


def pip(python, into, *requirements):
    tag = f"cp{python.replace('.', '')}"
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--target", into]
    command += ["--use-feature=fast-deps"]  # what a wheel needs is read without the whole of it
    command += ["--only-binary=:all:", "--implementation", "cp", "--python-version", python]
    command += ["--abi", tag, "--abi", "abi3", "--abi", "none"]
    for platform in PLATFORMS:
        command += ["--platform", f"{platform}_aarch64"]
    return subprocess.run(
        [str(word) for word in [*command, *requirements]],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


@pytest.mark.parametrize("python", PYTHONS)
def test_every_dependency_has_a_wheel(tmp_path, python):
    wanted = [*PROJECT["dependencies"]]
    for extra in sorted(EXTRAS - WITHOUT.get(python, set())):
        wanted += PROJECT["optional-dependencies"][extra]
    ended = pip(python, tmp_path, *wanted)
    assert ended.returncode == 0, ended.stderr[-2000:]


@pytest.mark.parametrize("extra", NO_WHEEL)
def test_no_wheel_is_still_said_where_there_is_none(tmp_path, extra):
    distribution, why = NO_WHEEL[extra]
    ended = pip(PYTHONS[0], tmp_path, "--no-deps", distribution)
    assert ended.returncode != 0, f"there is a wheel now; once: {why}"
    assert f"No matching distribution found for {distribution}" in ended.stderr
