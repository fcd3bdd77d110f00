"""Twenty thousand damaged manifests: each is refused in one line, or can be run."""

import json
import random
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from harmless import is_line
from hostile_input import attack, damaged, mutated, peak

from runtime.bundle import names
from runtime.bundle.manifest import Manifest
from runtime.bundle.opening import decode_manifest, read_manifest, signed_content, write_manifest
from runtime.bundle.soundness import check_soundness
from runtime.errors import BundleError

MINI = Path(names.__file__).parents[1] / "mini"
CASES = 1_000  # of each kind
PATH = Path("bundle.json")


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Mini's manifest, as short as it can be written."""
    folder = tmp_path_factory.mktemp("bundle")
    write_manifest(folder, replace(read_manifest(MINI), parity=()))
    return json.loads((folder / "bundle.json").read_bytes())


def compact(value):
    return json.dumps(value, separators=(",", ":")).encode("utf-8", "surrogatepass")


def parse(content):
    """Whether a manifest is taken."""
    try:
        check_soundness(PATH, decode_manifest(PATH, content))
    except BundleError as error:
        assert is_line(str(error)) and len(str(error)) < 500
        return False
    return True


@pytest.mark.damaged
def test_damaged_bytes(sound, times_as_many):
    count = CASES * times_as_many
    draws, content = random.Random(15), compact(sound)
    assert parse(content)
    taken, refused = attack(parse, (damaged(draws, content) for _ in range(count)))
    assert taken + refused == count and refused > 0.95 * count


def signed(value):
    """The bytes of a changed manifest, signed where it can be: as its maker would."""
    content = compact(value)
    try:
        return signed_content(msgspec.json.decode(content, type=Manifest))
    except (msgspec.MsgspecError, RecursionError, UnicodeError):
        return content


@pytest.mark.damaged
def test_nonsense_that_is_signed(sound, times_as_many):
    count = CASES * times_as_many
    draws = random.Random(16)
    reached = 0

    def judged(content):
        nonlocal reached
        try:
            decode_manifest(PATH, content)
            reached += 1
        except BundleError:
            pass
        return parse(content)

    taken, refused = attack(judged, (signed(mutated(draws, sound)) for _ in range(count)))
    assert taken + refused == count
    assert reached > 0.1 * count and refused > 0.5 * count  # beyond what a type says


def test_what_is_taken_is_small_enough_to_run(sound):
    """By bounds of this test's own, on every number that a signed manifest may hold."""
    for part, sizes in sound["geometry"].items():
        for name, size in sizes.items():
            for nonsense in (0, -1, 10**9, 2**62) if isinstance(size, int) else ():
                changed = {**sound["geometry"], part: {**sizes, name: nonsense}}
                assert not parse(signed({**sound, "geometry": changed})), (part, name)


@pytest.mark.parametrize("kind", [b"[", b'{"a":', b"[{},", b'"a",', b"1,", b'{"a":1,"b":'])
def test_memory_is_bounded_by_what_is_read(kind):
    content = b'{"format":1,"name":' + kind * (1 << 16)
    assert peak(parse, content) < 4 * len(content) + (1 << 20)
