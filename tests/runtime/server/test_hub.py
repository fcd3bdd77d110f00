"""What pages are told of the device, second by second."""

import asyncio
import json
import os
import sys
import threading

import cv2
import pytest

from devices.device import DeviceCondition, DeviceError
from runtime.answers.record import SecondRecord, StreamFact
from runtime.priority import NICENESS
from runtime.server.hub import Hub
from runtime.server.outlet import Outlet

NOTHING = StreamFact(0, 0, {})
SECOND = SecondRecord(1, NOTHING, NOTHING, 0, 0, 1, 0, *(None,) * 6)


def lost():
    raise DeviceError("it is being disconnected")


def test_a_page_that_leaves_before_it_has_come_takes_no_other_page_s_pictures():
    async def watched():
        hub = Hub(lambda: 0, (1, 1))
        gone, stays = Outlet(wants_pictures=True), Outlet(wants_pictures=True)
        hub.detach(gone)
        hub.attach(stays)
        first = hub.is_watched()
        hub.detach(stays)
        return first, hub.is_watched()

    assert asyncio.run(watched()) == (True, False)


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        (lambda: DeviceCondition(71, True, "udp", 0.25), (71, True, "udp", 0.25)),
        (lambda: DeviceCondition(None, None, None, None), (None, None, None, None)),
        (lambda: None, None),
        (lost, None),
    ],
)
def test_pages_are_told_how_the_device_is_doing(condition, told):
    async def second():
        hub = Hub(lambda: 0, (1, 1), condition)
        outlet = Outlet()
        hub.attach(outlet)
        hub.hear(SECOND)
        messages, _ = await outlet.take()
        return [json.loads(message) for message in messages]

    messages = asyncio.run(second())
    found = [message for message in messages if message["type"] == "condition"]
    assert sum(message["type"] == "record" for message in messages) == 1
    names = ("battery_level", "worn", "transport", "loss")
    assert [tuple(message[name] for name in names) for message in found] == [told] * (
        told is not None
    )


def test_a_picture_that_can_not_be_drawn_costs_no_other(monkeypatch):
    drawn = iter([ValueError("odd"), b"a picture"])

    def draw(sight, sent_at):
        found = next(drawn)
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr("runtime.server.hub.picture_message", draw)

    async def two():
        hub = Hub(lambda: 0, (1, 1))
        page = Outlet(wants_pictures=True)
        hub.attach(page)
        task = asyncio.create_task(hub.draw())
        hub.show("one")
        messages, picture = await asyncio.wait_for(page.take(), 5)
        assert picture is None
        hub.show("two")
        _, picture = await asyncio.wait_for(page.take(), 5)
        task.cancel()
        return [json.loads(message)["line"] for message in messages], picture

    assert asyncio.run(two()) == (["a picture can't be drawn: ValueError: odd"], b"a picture")


@pytest.mark.skipif(sys.platform != "linux", reason="threads share one priority")
def test_drawing_gives_way_to_what_answers_and_ends_with_the_server(monkeypatch):
    def niceness(*_):
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    others = set(threading.enumerate())

    def drawing():
        new = set(threading.enumerate()) - others
        return [each for each in new if each.name.startswith("drawing")]

    cv2.setNumThreads(2)
    monkeypatch.setattr("runtime.server.hub.picture_message", niceness)

    async def one():
        hub, page = Hub(lambda: 0, (1, 1)), Outlet(wants_pictures=True)
        hub.attach(page)
        task = asyncio.create_task(hub.draw())
        hub.show("one")
        _, found = await asyncio.wait_for(page.take(), 5)
        task.cancel()
        drew = drawing()
        hub.close()
        return found, len(drew), drawing()

    assert asyncio.run(one()) == (niceness() + NICENESS, 1, [])
    assert cv2.getNumThreads() == 1
