"""Recordings that lie elsewhere, coded by workers who are handed the bundle."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from elsewhere import on_the_web
from several_recordings import ASKED, NAMES, coded_here, draw_several, files_of

from runtime.cluster.handing_over import packed
from runtime.coding.__main__ import main
from runtime.run.command_line import MINI

pytestmark = pytest.mark.cluster
pytest.importorskip("ray", reason="needs the extra 'cluster'")
pytest.importorskip("fsspec", reason="needs the extra 'url'")


@pytest.fixture
def handed_over():
    """Where workers of this machine keep the bundle."""
    name = f"gazeqwen-{os.getuid()}-{packed(MINI).digest}"
    yield Path(tempfile.gettempdir()) / name
    shutil.rmtree(Path(tempfile.gettempdir()) / name)


def test_codings_on_ray_are_those_of_one_process(nodes, handed_over, tmp_path):
    folder = draw_several(tmp_path / "several")
    whole = coded_here(folder, tmp_path / "here")
    out = tmp_path / "ray"
    on_ray = ["--on", "ray", "--address", nodes.address, "--workers", "2", "--hand-over"]
    with on_the_web() as put:
        url = put(folder)
        places = [f"{url}{name}/" for name in NAMES]
        cached = ["--cache", str(tmp_path / "cache")]
        assert main([*places, "--out", str(out), *ASKED, *on_ray, *cached]) == 0
    assert files_of(out) == whole
    assert (handed_over / "bundle.json").is_file()
    assert len(list((tmp_path / "cache").glob("*/copy"))) == 3, "each was copied once"
