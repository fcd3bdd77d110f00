"""A hash that was right is believed for this machine and this very file only."""

import os
import shutil
from pathlib import Path

import pytest

from runtime.bundle import names, verification
from runtime.bundle.opening import Bundle
from runtime.bundle.verification import Identity, Verification, file_spec
from runtime.errors import BundleError

MINI = Path(names.__file__).parents[1] / "mini"
DATA = "vision.onnx.data"


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(MINI, tmp_path / "bundle")


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def hashed(monkeypatch):
    """The names of the files that were hashed, as they are."""
    hashed = []

    def watched(path):
        hashed.append(path.name)
        return file_spec(path)

    monkeypatch.setattr(verification, "file_spec", watched)
    return hashed


def verify(folder, cache, rehash=False, later=10**10):
    spec = file_spec(MINI / DATA)
    newest = Identity.of(folder / DATA).changed_at
    found = Verification(folder, cache, rehash, clock=lambda: newest + later)
    holds = found.holds(DATA, spec)
    found.keep()
    return holds


def rot(path):
    """One bit turns; size and time of modification stay as they were."""
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[1000] ^= 4
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_file_is_hashed_once(folder, cache, hashed):
    assert [verify(folder, cache) for _ in range(3)] == [True] * 3
    assert hashed == [DATA]


def test_a_copy_is_hashed_again(folder, cache, hashed, tmp_path):
    verify(folder, cache)
    copy = shutil.copytree(folder, tmp_path / "copy")
    rot(copy / DATA)
    assert verify(copy, cache) is False
    shutil.rmtree(folder)
    copy.rename(folder)  # now it lies where the sound one was
    assert verify(folder, cache) is False
    assert hashed == [DATA] * 3


def test_a_file_that_rotted_in_place_is_hashed_again(folder, cache):
    assert verify(folder, cache)
    rot(folder / DATA)
    assert verify(folder, cache) is False


def test_nothing_that_lies_in_the_bundle_is_believed(folder):
    before = {path.name for path in folder.iterdir()}
    Bundle.open(folder)
    assert {path.name for path in folder.iterdir()} == before
    (folder / ".verified.json").write_text("{}")
    rot(folder / DATA)
    with pytest.raises(BundleError, match="was altered"):
        Bundle.open(folder)


def test_rehashing_believes_nothing_and_forgets_what_proved_wrong(folder, cache, monkeypatch):
    assert verify(folder, cache)
    same = Identity.of(folder / DATA)
    rot(folder / DATA)
    monkeypatch.setattr(Identity, "of", lambda path: same)  # as a disk that errs in silence
    assert verify(folder, cache) is True
    assert verify(folder, cache, rehash=True) is False
    assert verify(folder, cache) is False


def test_another_machine_believes_nothing_of_this_one(folder, cache, hashed, monkeypatch):
    verify(folder, cache)
    monkeypatch.setattr(verification, "machine_name", lambda: "another")
    verify(folder, cache)
    assert hashed == [DATA] * 2


def test_a_file_changed_this_moment_is_not_remembered(folder, cache, hashed):
    """A second change within a tick of the file system's clock would not show."""
    verify(folder, cache, later=10**9)
    verify(folder, cache, later=10**10)
    verify(folder, cache)
    assert hashed == [DATA] * 2


@pytest.mark.parametrize("content", [b"", b"{}", b"[" * 200_000, b'{"machine": 3}', b"\xff"])
def test_a_damaged_cache_is_no_cache(folder, cache, content):
    verify(folder, cache)
    (kept,) = cache.iterdir()
    kept.write_bytes(content)
    assert verify(folder, cache)
    rot(folder / DATA)
    assert verify(folder, cache) is False


def test_where_no_cache_can_be_written_every_opening_hashes(folder, tmp_path, hashed):
    (tmp_path / "file").write_text("in the way")
    for cache in (tmp_path / "file" / "cache", None):
        assert verify(folder, cache) and verify(folder, cache)
    assert hashed == [DATA] * 4


def test_the_cache_is_the_users_own(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert verification.cache_folder() == tmp_path / "gazeqwen-edge" / "verified"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")  # which the rules of XDG tell to ignore
    assert verification.cache_folder() is None or verification.cache_folder().is_absolute()
