"""Records of built engines travel with a bundle: what they say is checked, whatever it is."""

from dataclasses import replace

import msgspec
import pytest

from runtime.bundle.manifest import FileSpec
from runtime.bundle.opening import read_manifest
from runtime.engines.shape_profiles import shape_profiles
from runtime.engines.store import (
    EngineKey,
    EngineRecord,
    EngineStore,
    Target,
    graph_hash,
    shapes_hash,
)
from runtime.errors import EngineError
from runtime.run.command_line import MINI

TARGET = Target("tensorrt", "10.9", "a GPU", "8.9")


@pytest.fixture
def store(tmp_path):
    (tmp_path / "engines").mkdir()
    return EngineStore(tmp_path, read_manifest(MINI))


@pytest.fixture
def key():
    manifest = read_manifest(MINI)
    return EngineKey(
        *("vjepa", "tensorrt", "10.9", "a GPU", ("8.9",), "fp16"),
        shapes=shapes_hash(shape_profiles(manifest, "vjepa")),
        graph_hash=graph_hash(manifest, "vjepa"),
    )


def refusal(store, record):
    content = record if isinstance(record, bytes) else msgspec.json.encode(record)
    (store.folder / "vjepa.0.json").write_bytes(content)
    with pytest.raises(EngineError) as caught:
        store.find("vjepa", TARGET)
    assert str(caught.value).isprintable()
    return str(caught.value)


@pytest.mark.parametrize("content", [b"", b"{}", b"[" * 200_000, b'{"key":' * 200_000, b"\xff"])
def test_a_record_that_is_none(store, content):
    assert "its record is damaged" in refusal(store, content)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"graph": "vision"}, "built for name vision"),
        ({"graph": "no graph"}, "built for name no graph"),
        ({"version": "\x1b[2J\n9"}, "built for version"),
        ({"gpu": "another"}, "built for GPU another"),
        ({"capabilities": ()}, "built for compute capability"),
        ({}, "not the engine that was built here"),
    ],
)
def test_a_record_of_something_else(store, key, fields, said):
    record = EngineRecord(replace(key, **fields), FileSpec(1, "0" * 64), None, "unmeasured")
    assert said in refusal(store, record)
