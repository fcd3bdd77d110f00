"""What tells devices apart that may compute otherwise."""

import pytest

from runtime.engines.identity import has_dot_products, nvidia_driver, processor

INTEL = """processor\t: 0
model name\t: A Processor @ 2.0GHz
cpu MHz\t\t: {speed}
flags\t\t: fpu {more}avx2

processor\t: 1
model name\t: A Processor @ 2.0GHz
"""
ARM = "processor\t: 0\nBogoMIPS\t: 62.5\nFeatures\t: asimd asimddp\nCPU part\t: 0xd42\n"


def told(tmp_path, text):
    file = tmp_path / "cpuinfo"
    file.write_text(text)
    return processor(file)


def test_a_processor_is_its_model_and_its_instructions(tmp_path):
    intel = told(tmp_path, INTEL.format(speed=2000, more=""))
    assert intel.endswith("A Processor @ 2.0GHz; fpu avx2")
    assert told(tmp_path, INTEL.format(speed=3000, more="")) == intel
    assert told(tmp_path, INTEL.format(speed=2000, more="avx512f ")) != intel
    assert "asimd asimddp; 0xd42" in told(tmp_path, ARM)
    assert processor(tmp_path / "none")


@pytest.mark.parametrize(
    ("more", "has"),
    [("", False), ("avx512f ", False), ("avx512_vnni ", True), ("avx_vnni ", True)],
)
def test_dot_products_are_instructions(tmp_path, more, has):
    file = tmp_path / "cpuinfo"
    file.write_text(INTEL.format(speed=2000, more=more))
    assert has_dot_products(file) == has
    file.write_text("flags\t\t: fpu amx_int8\n")
    assert has_dot_products(file)
    assert not has_dot_products(tmp_path / "none")


def test_a_driver_is_its_version(tmp_path):
    file = tmp_path / "version"
    file.write_text("NVRM version: NVIDIA UNIX  570.86\nGCC version: 12\n")
    assert nvidia_driver(file) == "NVRM version: NVIDIA UNIX 570.86"
    assert nvidia_driver(tmp_path / "none") == ""
