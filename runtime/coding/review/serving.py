"""The page's server: it runs until Ctrl-C, and writes the tables anew whenever they are stale."""

from __future__ import annotations

import asyncio
from pathlib import Path

from aiohttp import web

from devices.printable import printable
from runtime.coding.ledger import CodingError
from runtime.coding.review.folder import ReviewFolder
from runtime.coding.review.routes import Reviewed
from runtime.run.interruption import Interruption
from runtime.server.addresses import Address, qr_code
from runtime.server.security import MOST_BODY, Access, guard
from runtime.terminal import SafeConsole

LONGEST = 1000  # characters of a line
GLANCE = 0.2  # seconds between two looks at whether it was ended
QUIET = 2.0  # seconds without a correction, after which the tables are written
PARTING = 0.3  # seconds that a client has to take its leave


def serve(folder: Path, corrections: Path | None, address: str, console: SafeConsole) -> None:
    """Serve the codings in a folder; the tables are those of the corrections at the end.

    Raises CodingError, DeviceError, RuntimeFault.
    """
    at = Address.parse(address)
    opened = ReviewFolder(folder, corrections)
    try:
        listening = at.listen()
        with Interruption() as interruption, listening:
            access = Access.of(at.host, at.is_loopback)
            page = f"http://{at.shown_host}:{listening.getsockname()[1]}/"
            if access.token is not None:
                page += f"?token={access.token}"
                if (drawn := qr_code(page)) is not None:
                    print(drawn)
            checked = len(opened.checked()[0])
            console.print(f"{len(opened.items)} fixations, {checked} of them checked")
            console.print(f"page     {page}")
            asyncio.run(_Serving(opened, access, interruption, console).run(listening))
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

    async def run(self, listening: object) -> None:
        app = web.Application(middlewares=[guard(self._access)], client_max_size=MOST_BODY)
        app.add_routes(Reviewed(self._folder, self._heard).routes())
        runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=PARTING)
        await runner.setup()
        try:
            await web.SockSite(runner, listening).start()  # type: ignore[arg-type]
            while not self._interruption.came:
                await asyncio.sleep(GLANCE)
                await self._write_when_quiet()
        finally:
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
