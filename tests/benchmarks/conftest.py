"""A drawn StreamGaze set, and what a random model answers about it, asked once for all tests."""

from functools import cache

import pytest
from drawn_streamgaze import mixed_set, results


@pytest.fixture(scope="session")
def mixed(tmp_path_factory):
    return mixed_set(tmp_path_factory.mktemp("set") / "mixed")


@pytest.fixture(scope="session")
def asked(tiny_models, mixed):
    """The results of the mixed set by way and gaze, each run once."""
    return cache(lambda way, gaze="yes": results(tiny_models, mixed, way, gaze))
