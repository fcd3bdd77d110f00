"""Waiting ends alike on every Python: the built-in TimeoutError, and nothing left over."""

import asyncio

import pytest

from devices.waiting import together, within


def test_what_takes_too_long_ends_with_the_built_in_error():
    async def wait():
        async with within(0.001):
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        asyncio.run(wait())


def test_what_is_done_in_time_is_left_alone():
    async def wait():
        async with within(60):
            return await asyncio.sleep(0, "done")

    assert asyncio.run(wait()) == "done"


def test_the_first_failure_ends_the_others_before_it_is_raised():
    ended = []

    async def lasting():
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append("lasting")

    async def failing():
        await asyncio.sleep(0)
        raise LookupError("gone")

    async def both():
        with pytest.raises(LookupError, match="gone"):
            await together(lasting(), failing())
        assert ended == ["lasting"]

    asyncio.run(both())


def test_a_cancellation_reaches_every_work_and_comes_back():
    ended = []

    async def lasting(name):
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(name)

    async def cancelled():
        running = asyncio.ensure_future(together(lasting("one"), lasting("other")))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert sorted(ended) == ["one", "other"]

    asyncio.run(cancelled())
