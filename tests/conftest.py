"""What several tests need: one exported tiny bundle, its checkpoints, and the data beside us."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def pytest_addoption(parser):
    parser.addoption("--arm64", metavar="DIR", help="an emulated ARM64, made by .ci/arm64 DIR")
    parser.addoption("--axe", metavar="DIR", help="axe-core, made by .ci/axe DIR")
    parser.addoption(
        "--times-as-many",
        type=int,
        default=1,
        metavar="N",
        help="damaged inputs for every parser: 10 makes 20,000 for each, 500 a million",
    )
    parser.addoption("--gpu", metavar="DIR", help="a software GPU, made by .ci/gpu DIR")
    parser.addoption("--spoken", action="store_true", help="also what is really spoken: minutes")


def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("realtime"):
            item.add_marker(pytest.mark.flaky(reruns=2))


@pytest.fixture(scope="session")
def times_as_many(pytestconfig):
    """How many times its usual number of damaged inputs a parser is given."""
    return pytestconfig.getoption("times_as_many")


@pytest.fixture(scope="session", autouse=True)
def cache_home(tmp_path_factory):
    """A user's cache of our own, also for the commands that tests start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory):
    """A bundle of random weights, exported once by the command line, its checkpoints beside it."""
    pytest.importorskip("torch", reason="needs the extra 'export'")
    from export.__main__ import main

    folder = tmp_path_factory.mktemp("export") / "tiny"
    drawn = ["--random", "tiny", "--seed", "3", "--quant", "float32"]
    assert main([*drawn, "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="session")
def tiny_models(tiny_folder):
    from runtime.bundle.opening import Bundle
    from runtime.engines.engine import OnnxEngine
    from runtime.model.models import Models

    # One thread: several spin while they wait for each other on a machine that is busy.
    return Models(Bundle.open(tiny_folder), lambda path: OnnxEngine(path, threads=1))


@pytest.fixture(scope="session")
def tiny_reference(tiny_folder):
    """The same checkpoints in PyTorch, with hooks."""
    from export.parity.reference import ReferenceModel

    checkpoints = tiny_folder.with_name("tiny-checkpoints")
    return ReferenceModel.load(
        checkpoints / "qwen",
        checkpoints / "vjepa.pt",
        64,
        checkpoints / "gazeqwen.pt",
        (1, 3, 5, 7),
    )


@pytest.fixture(scope="session")
def shared_data():
    """Real recordings lie beside the repository on some machines."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no real recordings at ../shared/data")
    return folder
