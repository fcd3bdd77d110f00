"""Waiting with a limit and waiting for several, alike on every Python.

Python 3.10 has no `asyncio.timeout` and no `asyncio.TaskGroup`, and its libraries' TimeoutErrors
are not the built-in one.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

if sys.version_info >= (3, 11):
    from asyncio import timeout as within
else:
    import async_timeout

    @asynccontextmanager
    async def within(seconds: float) -> AsyncIterator[None]:
        """Cancel what is waited for inside after so many seconds. Raises TimeoutError."""
        try:
            async with async_timeout.timeout(seconds):
                yield
        except asyncio.TimeoutError as error:
            raise TimeoutError from error


async def together(*works: Coroutine[Any, Any, None]) -> None:
    """Do several things at once until all are done; none outlasts this.

    The first failure is raised, and it and a cancellation end the other works.
    """
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
