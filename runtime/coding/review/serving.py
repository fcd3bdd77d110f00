"""The page's server: it runs until Ctrl-C, and writes the tables anew whenever they are stale."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from pathlib import Path

from aiohttp import web

from devices.printable import printable
from runtime.coding.ledger import CodingError
from runtime.coding.review.folder import ReviewFolder
from runtime.coding.review.routes import Reviewed
from runtime.remote.copies import LocalCopies
from runtime.run.interruption import Interruption
from runtime.server.addresses import Address
from runtime.server.opening import handed, tell_page, tell_trust
from runtime.server.security import MOST_BODY, Access, guard
from runtime.server.server import Beside, started
from runtime.server.tls.opening import Identity
from runtime.server.tls.opening import identity as told_identity
from runtime.terminal import SafeConsole

LONGEST = 1000  # characters of a line
GLANCE = 0.2  # seconds between two looks at whether it was ended
QUIET = 2.0  # seconds without a correction, after which the tables are written


def serve(
    folder: Path,
    copies: LocalCopies,
    corrections: Path | None,
    address: str,
    tls: Sequence[str] | None,
    console: SafeConsole,
) -> None:
    """Serve the codings in a folder; the tables are those of the corrections at the end.

    `copies`: of recordings that lie elsewhere; `tls`: the words after --tls, None for plain HTTP.
    Raises CodingError, DeviceError, RuntimeFault.
    """
    at = Address.parse(address)
    opened = ReviewFolder(folder, copies, corrections)
    try:
        identity = None if tls is None else told_identity(tls, at)
        access = Access.of(at.host, at.is_loopback, secure=identity is not None)
        listening = at.listen()
        with Interruption() as interruption, listening:
            beside = handed(identity, access, at)
            checked = len(opened.checked()[0])
            console.print(f"{len(opened.items)} fixations, {checked} of them checked")
            if beside is not None and identity is not None:
                tell_trust(identity, beside, at, console.print)
            tell_page(access, listening, at, console.print)
            serving = _Serving(opened, access, interruption, console)
            asyncio.run(serving.run(listening, identity, beside))
        if opened.write():
            console.print(printable(f"written to {folder}", LONGEST))
    finally:
        opened.close()


class _Serving:
    def __init__(
        self,
        folder: ReviewFolder,
        access: Access,
        interruption: Interruption,
        console: SafeConsole,
    ) -> None:
        self._folder, self._access = folder, access
        self._interruption, self._console = interruption, console
        self._heard_at: float | None = None

    async def run(
        self, listening: socket.socket, identity: Identity | None, beside: Beside | None
    ) -> None:
        app = web.Application(middlewares=[guard(self._access)], client_max_size=MOST_BODY)
        app.add_routes(Reviewed(self._folder, self._heard).routes())
        runners = [await started(app, listening, None if identity is None else identity.context)]
        if beside is not None:
            runners.append(await started(beside.app, beside.listening))
        try:
            while not self._interruption.came:
                await asyncio.sleep(GLANCE)
                await self._write_when_quiet()
        finally:
            for runner in runners:
                await runner.cleanup()

    def _heard(self) -> None:
        self._heard_at = asyncio.get_running_loop().time()

    async def _write_when_quiet(self) -> None:
        """A coder who goes on is not made to wait for tables that would be stale at once."""
        now = asyncio.get_running_loop().time()
        if self._heard_at is None or now - self._heard_at < QUIET:
            return
        self._heard_at = None
        try:
            await asyncio.to_thread(self._folder.write)
        except (
            CodingError,
            OSError,
        ) as error:  # the corrections are safe: said, and tried again at the end
            self._console.print(printable(str(error), LONGEST))
