"""Hands the authority's certificate to a phone, which can't trust this server before it has it.

So it goes over plain HTTP, where others could put theirs in its place: the terminal prints the
fingerprint that the phone has to show. Nothing else is served there, and nothing is secret.
"""

from __future__ import annotations

from html import escape
from pathlib import Path

from aiohttp import web

from runtime.server.security import HEADERS, Access, Handler
from runtime.server.tls.authority import Authority

CERTIFICATE_TYPE = "application/x-x509-ca-cert"
TEMPLATE = Path(__file__).with_name("trust.html")
STYLE = Path(__file__).parents[1] / "page" / "style.css"


def handing(authority: Authority, access: Access) -> web.Application:
    """An application of three addresses: `/`, its style, `/authority.crt`.

    `access`: of the server itself; its token is not asked for.
    """
    told = TEMPLATE.read_text("utf-8").replace("FINGERPRINT", escape(authority.fingerprint))

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        refusal = access.refusal(request)
        if refusal is not None and refusal.status != 401:
            return web.Response(status=refusal.status, text=refusal.reason + "\n")
        response = await handler(request)
        response.headers.update(HEADERS)
        return response

    async def page(request: web.Request) -> web.Response:
        return web.Response(text=told, content_type="text/html")

    async def style(request: web.Request) -> web.Response:
        return web.Response(body=STYLE.read_bytes(), content_type="text/css", charset="utf-8")

    async def certificate(request: web.Request) -> web.Response:
        named = {"Content-Disposition": 'attachment; filename="gazeqwen-authority.crt"'}
        return web.Response(body=authority.as_der, content_type=CERTIFICATE_TYPE, headers=named)

    app = web.Application(middlewares=[guarded], client_max_size=1)
    app.router.add_get("/", page)
    app.router.add_get("/page/style.css", style)
    app.router.add_get("/authority.crt", certificate)
    return app
