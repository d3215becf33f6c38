"""Who may ask, and how much: hosts, origins, the token, size and time of a request. Plain ASGI, before any route."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.responses import PlainTextResponse, RedirectResponse, Response

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

MOST_BODY = 32 * 2**20
"""Bytes of a request."""
MOST_SECONDS = 20.0
"""How long a request may take to arrive."""
COOKIE = "doubleread_token"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        # the chart library styles what it draws
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Allowed:
    """What a server takes: the values of Host that name it, and a token where it asks for one."""

    hosts: frozenset[str]
    token: str | None = None
    most_seconds: float = MOST_SECONDS


class Broken(Exception):
    """A request's body is not read further."""


class Guard:
    """Lets a request through to `app` where host, origin, token, size and pace are right; every answer gets headers.

    The Host must name this server, so that no name that an attacker points at it opens it (DNS rebinding); what
    changes something must come from its own pages.
    """

    def __init__(self, app: App, allowed: Allowed) -> None:
        self._app, self._allowed = app, allowed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        refused = self._refusal(scope, headers)
        if refused is not None:
            await refused(scope, receive, _with_headers(send))
            return
        limited = _Limited(receive, self._allowed.most_seconds)

        async def watched(message: Message) -> None:
            # what the application makes of half a body is not what is wrong with it
            if limited.broken is None:
                await _with_headers(send)(message)

        with suppress(Broken):
            await self._app(scope, limited, watched)
        if limited.broken is not None:
            await limited.broken(scope, receive, _with_headers(send))

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> Response | None:
        hosts = self._allowed.hosts
        if headers.get("host", "").lower() not in hosts:
            return PlainTextResponse("this server has another name", 421)
        if scope["method"] not in SAFE and not _from_here(headers, hosts):
            return PlainTextResponse("asked from another site", 403)
        if (length := headers.get("content-length", "0")).isdigit() is False or int(length) > MOST_BODY:
            return PlainTextResponse(f"at most {MOST_BODY:,} bytes", 413)
        return self._without_token(scope, headers)

    def _without_token(self, scope: Scope, headers: dict[str, str]) -> Response | None:
        token = self._allowed.token
        if token is None:
            return None
        kind, _, given = headers.get("authorization", "").partition(" ")
        if (kind.lower() == "bearer" and _same(given, token)) or _same(_cookie(headers), token):
            return None
        query = parse_qsl(scope["query_string"].decode("latin-1"))
        if scope["method"] == "GET" and _same(dict(query).get("token", ""), token):
            # the address is kept in histories: the token goes into a cookie, and out of the address
            rest = urlencode([pair for pair in query if pair[0] != "token"])
            found = RedirectResponse(scope["path"] + (f"?{rest}" if rest else ""), 303)
            found.set_cookie(COOKIE, token, httponly=True, samesite="strict")
            return found
        return PlainTextResponse("open the address that the server printed, with its token", 401)


class _Limited:
    """A `receive` that counts the bytes of a body and the time that it takes; `broken` is the answer to too much."""

    def __init__(self, receive: Receive, seconds: float) -> None:
        self.broken: Response | None = None
        self._receive, self._got, self._whole = receive, 0, False
        self._until = asyncio.get_running_loop().time() + seconds

    async def __call__(self) -> Message:
        if self._whole:
            # what comes after the body is the end of the connection, however long that takes
            return await self._receive()
        try:
            left = self._until - asyncio.get_running_loop().time()
            message = await asyncio.wait_for(self._receive(), left)
        except TimeoutError as error:
            self.broken = PlainTextResponse("too slow", 408)
            raise Broken from error
        if message["type"] == "http.request":
            self._got += len(message.get("body", b""))
            self._whole = not message.get("more_body", False)
            if self._got > MOST_BODY:
                self.broken = PlainTextResponse(f"at most {MOST_BODY:,} bytes", 413)
                raise Broken
        return message


def _from_here(headers: dict[str, str], hosts: frozenset[str]) -> bool:
    """Tell whether a request that changes something comes from this server's own pages, or from no browser at all."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc.lower() in hosts


def _same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode(), token.encode())


def _cookie(headers: dict[str, str]) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found is not None else ""


def protected(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return the headers of an answer with those that protect it, where it has none of its own."""
    mine = list(headers)
    there = {name for name, _ in mine}
    more = (*HEADERS, (b"content-security-policy", POLICY.encode()))
    return [*mine, *(pair for pair in more if pair[0] not in there)]


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": protected(message["headers"])}
        await send(message)

    return sending
