"""One ONNX Runtime, whatever voice brings: read from what the distributions say that they need."""

import sys
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pytest brings it

PROJECT = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]


def name_of(requirement):
    return Requirement(requirement).name.lower().replace("_", "-")


def is_needed(requirement):
    marker = Requirement(requirement).marker
    return marker is None or marker.evaluate({"extra": ""})


def closure(requirements):
    """The names of all that is asked for, by what is installed here; and which is not."""
    found, missing = set(), set()
    waiting = [name_of(each) for each in requirements if is_needed(each)]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        try:
            needed = requires(name) or []
        except PackageNotFoundError:
            missing.add(name)
            continue
        waiting += [name_of(each) for each in needed if is_needed(each)]
    return found, missing


@pytest.mark.parametrize("processor", ["cpu", "gpu"])
def test_voice_leaves_exactly_one_onnx_runtime(processor):
    pytest.importorskip("moonshine_voice", reason="needs the extra 'voice'")
    extras = PROJECT["optional-dependencies"]
    found, missing = closure([*PROJECT["dependencies"], *extras[processor], *extras["voice"]])
    runtimes = {name for name in found if name.startswith("onnxruntime")}
    assert runtimes == {name_of(extras[processor][0])}
    assert missing <= runtimes  # so that nothing else hides behind what is not here


def test_the_model_is_in_the_wheel():
    pytest.importorskip("moonshine_voice", reason="needs the extra 'voice'")
    import numpy as np

    from runtime.voice.recognizer import open_recognizer

    assert open_recognizer(None).text(np.zeros(16_000, np.float32), 8000) == ""
