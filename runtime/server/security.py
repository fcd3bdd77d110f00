"""Who may ask the server for what: hosts, origins, the token, and what a page may load.

A page of another site, open in the same browser, can reach a server on loopback. So a request has
to name this server as its host (or a name that leads here by DNS rebinding would do), and where it
tells an origin, that has to be this server's own.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from aiohttp import web

MOST_BODY = 16 << 20  # bytes
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is refused. `status`: of HTTP."""

    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class Access:
    """What a server demands.

    `token`: None on loopback. `names`: hosts by which it may be called, besides, on other addresses
    than loopback, any address in figures (which no DNS can turn). `secure`: whether it speaks TLS.
    """

    token: str | None
    names: frozenset[str]
    is_loopback: bool
    secure: bool = False

    @classmethod
    def of(cls, host: str, is_loopback: bool, secure: bool = False) -> Access:
        """For a server that listens at `host`; any but a loopback one gets a fresh token."""
        if is_loopback:
            return cls(None, frozenset(LOOPBACK_NAMES), True, secure)
        name = socket.gethostname().lower()
        names = frozenset((*LOOPBACK_NAMES, host, name, f"{name}.local"))
        return cls(secrets.token_urlsafe(24), names, False, secure)

    def refusal(self, request: web.BaseRequest) -> Refusal | None:
        """Why a request is not served; None where it is."""
        if not self._is_ours(request.headers.get("Host", "")):
            return Refusal(421, "this server is not called by that name")
        origin = request.headers.get("Origin")
        if origin is not None and not self._is_same(origin, request.headers["Host"]):
            return Refusal(403, "requests of other sites are not served")
        if (request.content_length or 0) > MOST_BODY:
            return Refusal(413, f"the body is larger than {MOST_BODY >> 20} MiB")
        if self.token is not None and not self._knows_token(request):
            return Refusal(401, "the token is missing or wrong: open the address that was printed")
        return None

    def is_token(self, told: str) -> bool:
        """Whether it is the token, in a time that tells nothing of it."""
        return self.token is not None and hmac.compare_digest(told.encode(), self.token.encode())

    def _knows_token(self, request: web.BaseRequest) -> bool:
        scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
        told = bearer if scheme.lower() == "bearer" else request.cookies.get(_cookie(request), "")
        return self.is_token(told)

    def _is_ours(self, host: str) -> bool:
        try:
            parts = urlsplit(f"//{host}")
            name, _ = parts.hostname or "", parts.port
        except ValueError:  # the port, too, may be none
            return False
        return name in self.names or (not self.is_loopback and _is_figures(name))

    def _is_same(self, origin: str, host: str) -> bool:
        return origin == f"{'https' if self.secure else 'http'}://{host}"


def guard(access: Access) -> Callable[[web.Request, Handler], Awaitable[web.StreamResponse]]:
    """A middleware that refuses what `access` does, and limits what a browser may do with the rest.

    `/?token=...` hands out a cookie and leads on, so that the token does not stay in the address.
    """

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        told = request.query.get("token")
        refusal = access.refusal(request)
        lacks_token = refusal is not None and refusal.status == 401
        if lacks_token and told is not None and request.path == "/" and access.is_token(told):
            return _with_headers(_admitted(access, request))
        if refusal is not None:
            return _with_headers(refused(request, refusal))
        try:
            response = await handler(request)
        except web.HTTPException as error:
            reason = f"the body is larger than {MOST_BODY >> 20} MiB"
            said = reason if error.status == 413 else error.reason
            return _with_headers(refused(request, Refusal(error.status, said)))
        return response if response.prepared else _with_headers(response)

    return guarded


def refused(request: web.BaseRequest, refusal: Refusal) -> web.Response:
    """A refusal in the form in which the client expects it."""
    if request.path.startswith("/v1/"):
        return api_error(refusal.status, refusal.reason)
    return web.Response(status=refusal.status, text=refusal.reason + "\n")


def api_error(status: int, message: str, parameter: str | None = None) -> web.Response:
    """An error in OpenAI's form."""
    kind = {401: "authentication_error", 429: "rate_limit_error"}.get(status)
    kind = kind or ("invalid_request_error" if status < 500 else "server_error")
    error = {"message": message, "type": kind, "param": parameter, "code": None}
    return web.json_response({"error": error}, status=status)


@dataclass(slots=True)
class Places:
    """So many of something at a time, as streams that clients keep open."""

    most: int
    taken: int = field(default=0)

    def take(self) -> bool:
        """Take one; whether there was one left."""
        if self.taken >= self.most:
            return False
        self.taken += 1
        return True

    def give_back(self) -> None:
        """One is free again."""
        self.taken -= 1


def _cookie(request: web.BaseRequest) -> str:
    """The name of the cookie: a browser keeps one for all ports of a host, so each has its own."""
    return f"gazeqwen-{urlsplit('//' + request.headers.get('Host', '')).port or 'page'}"


def _admitted(access: Access, request: web.BaseRequest) -> web.Response:
    response = web.Response(status=303, headers={"Location": "/"})
    assert access.token is not None
    response.set_cookie(
        _cookie(request),
        access.token,
        httponly=True,
        samesite="Strict",
        secure=access.secure,
        path="/",
    )
    return response


def _with_headers(response: web.StreamResponse) -> web.StreamResponse:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


def _is_figures(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
