"""Whatever ARM64 needs is to be had as a wheel: asked of uv, nothing is fetched."""

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
# glibc of what has this Python: JetPack 6 is Ubuntu 22.04 with 3.10, JetPack 7 is 24.04 with 3.12.
GLIBC = {"3.10": "2_35", "3.11": "2_35", "3.12": "2_39", "3.13": "2_39"}
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


def resolved(python: str, *options: str, requirements: list[str]):
    """What uv says: it reads what each wheel needs from the index, and fetches none of them."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "--no-config", "--no-cache", "--quiet"]
    command += ["--python-platform", f"aarch64-manylinux_{GLIBC[python]}"]
    command += ["--python-version", python, "--only-binary", ":all:", *options, "-"]
    return subprocess.run(
        command,
        input="\n".join(requirements),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


@pytest.mark.parametrize("python", GLIBC)
def test_every_dependency_has_a_wheel(python):
    wanted = [*PROJECT["dependencies"]]
    for extra in sorted(EXTRAS - WITHOUT.get(python, set())):
        wanted += PROJECT["optional-dependencies"][extra]
    ended = resolved(python, requirements=wanted)
    assert ended.returncode == 0, ended.stderr[-2000:]


@pytest.mark.parametrize("extra", NO_WHEEL)
def test_no_wheel_is_still_said_where_there_is_none(extra):
    distribution, why = NO_WHEEL[extra]
    ended = resolved("3.12", "--no-deps", requirements=[distribution])
    assert ended.returncode != 0, f"there is a wheel now; once: {why}"
    assert distribution in ended.stderr and "unsatisfiable" in ended.stderr
