"""What is packed with msgpack takes room in proportion to it, whatever it claims."""

import msgpack
import pytest
from hostile_input import peak

from devices.messagepack.packed import unpacked

CLAIM = b"\xdc\x08\x00"  # a list of 2,048


def refused(data):
    with pytest.raises((ValueError, TypeError)):
        unpacked(data)


@pytest.mark.parametrize("data", [CLAIM * 900, CLAIM * 9000, b"\x91" * 9000, b"\x92\x01" * 9000])
def test_lists_that_are_not_there_take_no_room(data):
    refused(data)  # once for what is loaded then
    assert peak(refused, data) < 2 * len(data) + (1 << 16)


def test_what_is_whole_is_unpacked():
    value = {"norm_pos": [0.5, 0.25], "base_data": [["gaze.3d.0.", 1.5]] * 300, "": b"\xff"}
    assert unpacked(msgpack.packb(value)) == value
    assert unpacked(msgpack.packb({1: None}), strict_map_key=False) == {1: None}
    refused(msgpack.packb({1: None}))
    refused(msgpack.packb(value)[:-1])
    refused(msgpack.packb(value) + b"\x01")
    refused(b"")
    refused(17)
