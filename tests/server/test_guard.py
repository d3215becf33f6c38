"""Security S8 to S10: who may ask, how much, and what the server never does. Every route is covered, by being there."""

import asyncio
import io
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx2 as httpx
import numpy as np
import pytest
from fastapi.routing import APIRoute
from PIL import Image
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from doubleread.errors import UserError
from doubleread.server import Allowed, create_app
from doubleread.server.guard import MOST_BODY, Guard
from doubleread.server.serving import allowed_on, hosts_of
from tests.server.conftest import PORT, serving

TOKEN = "a-token-that-nobody-guesses"
VALUES = {"study": "small", "run_id": "0" * 20, "name": "app.js"}


def routes(app):
    """Return the method and an address of every route that the application has."""
    found = []
    pending = list(app.routes)
    while pending:
        route = pending.pop()
        pending += getattr(getattr(route, "original_router", None), "routes", None) or []
        if path := getattr(route, "path", None):
            address = re.sub(r"\{(\w+)(:\w+)?\}", lambda match: VALUES[match[1]], path)
            found += [(method, address) for method in (getattr(route, "methods", None) or {"GET"})]
    return sorted(set(found))


def test_every_route_is_there(client):
    found = routes(client.app)
    for wanted in ("/", "/read", "/healthz", "/openapi.json", "/studies/small", "/studies/small/start", "/api/read"):
        assert any(address == wanted for _, address in found), wanted
    assert len(found) > 20


def test_another_host_is_refused_on_every_route(client):
    for method, address in routes(client.app):
        for host in ("evil.example", f"evil.example:{PORT}", "127.0.0.1", f"127.0.0.1.evil.example:{PORT}", ""):
            answer = client.request(method, address, headers={"host": host})
            assert answer.status_code == 421, (method, address, host)


def test_another_origin_changes_nothing_on_any_route(client):
    posts = [address for method, address in routes(client.app) if method not in ("GET", "HEAD", "OPTIONS")]
    assert len(posts) >= 5
    for address in posts:
        for headers in (
            {"origin": "http://evil.example"},
            {"origin": "null"},
            {"origin": f"http://localhost.evil.example:{PORT}"},
            {"origin": f"http://127.0.0.1:{PORT + 1}"},
            {"sec-fetch-site": "cross-site"},
            {"sec-fetch-site": "same-site", "origin": f"http://127.0.0.1:{PORT}"},
        ):
            assert client.post(address, headers=headers).status_code == 403, (address, headers)


@pytest.fixture
def locked(served_store, tmp_path):
    allowed = Allowed(hosts=hosts_of("127.0.0.1", PORT), token=TOKEN)
    app = create_app(served_store, allowed, studies_folder=tmp_path)
    with TestClient(app, base_url=f"http://127.0.0.1:{PORT}", follow_redirects=False) as found:
        yield found


def test_without_the_token_every_route_is_closed(locked):
    for method, address in routes(locked.app):
        for headers in ({}, {"authorization": "Bearer wrong"}, {"cookie": "doubleread_token=wrong"}):
            assert locked.request(method, address, headers=headers).status_code == 401, (method, address)
    assert locked.get("/healthz", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200


def test_the_token_moves_from_the_address_into_a_cookie(locked):
    answer = locked.get(f"/studies/small/runs?token={TOKEN}&page=1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/studies/small/runs?page=1")
    assert "HttpOnly" in answer.headers["set-cookie"]
    assert "SameSite=strict" in answer.headers["set-cookie"]
    assert locked.get("/studies/small/runs").status_code == 200


def test_on_another_address_it_takes_a_token():
    assert allowed_on("127.0.0.1", 8000, None).hosts == {"127.0.0.1:8000", "localhost:8000", "[::1]:8000"}
    for host in ("0.0.0.0", "192.168.1.4", "::", "some.host"):
        with pytest.raises(UserError, match=f"--host {host}: others could reach it; expected 127.0.0.1, or a --token"):
            allowed_on(host, 8000, None)
    assert allowed_on("192.168.1.4", 8000, TOKEN).token == TOKEN
    assert allowed_on("MyBox", 8000, TOKEN, ["box.example"]).hosts == {"mybox:8000", "box.example:8000", "box.example"}
    with pytest.raises(UserError, match="--token: 5 letters; expected 16 or more"):
        allowed_on("127.0.0.1", 8000, "guess")


def test_every_answer_has_the_headers_that_protect_it(client):
    for address in ("/", "/healthz", "/static/app.js", "/studies/nope", "/openapi.json", "/read"):
        headers = client.get(address).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert (policy["default-src"], policy["script-src"]) == ("'none'", "'self'")
        assert "unsafe-eval" not in headers["content-security-policy"]


def png(side: int) -> bytes:
    content = io.BytesIO()
    Image.fromarray(np.zeros((side, side), np.uint8)).save(content, "PNG")
    return content.getvalue()


def upload(client, content: bytes, **more):
    form = {"study": "small", "arm": "batch/8", **more}
    return client.post("/api/read", data=form, files={"image": ("x.png", content)})


def test_a_body_that_says_it_is_huge_is_refused_unread(client):
    answer = client.post("/read", headers={"content-length": str(MOST_BODY + 1)}, content=b"")
    assert answer.status_code == 413


def through_the_guard(receive, most_seconds=5.0):
    """Send a request straight into the guard, before an application that reads all of it; return the status."""
    sent = []

    async def app(scope, receive, send):
        while (await receive()).get("more_body"):
            pass
        await PlainTextResponse("read")(scope, receive, send)

    async def send(message):
        sent.append(message)

    headers = [(b"host", b"here:1")]
    scope = {"type": "http", "method": "POST", "path": "/read", "query_string": b"", "headers": headers}
    guard = Guard(app, Allowed(hosts=frozenset({"here:1"}), most_seconds=most_seconds))
    # in a thread of its own: the browser of other tests has an event loop in this one
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, guard(scope, receive, send)).result()
    return sent[0]["status"]


def test_a_body_that_turns_out_huge_is_refused_while_it_comes():
    pieces = 0

    async def receive():
        nonlocal pieces
        pieces += 1
        return {"type": "http.request", "body": b"x" * 2**20, "more_body": True}

    assert through_the_guard(receive) == 413
    assert pieces == MOST_BODY // 2**20 + 1


def test_a_body_that_comes_too_slowly_is_refused():
    async def receive():
        await asyncio.sleep(0.05)
        return {"type": "http.request", "body": b"x", "more_body": True}

    assert through_the_guard(receive, most_seconds=0.3) == 408


def test_an_image_that_is_too_large_or_none_is_refused_with_its_reason(client):
    assert upload(client, b"x" * (24 * 2**20 + 1)).status_code == 413
    bomb = upload(client, png(14_000))
    assert (bomb.status_code, bomb.json()["detail"]) == (422, "the image: too many pixels; expected at most 89,478,485")
    for content, reason in (
        (b"", "an empty file"),
        (b"GIF89a", "not a JPEG, PNG or TIFF file"),
        (png(64)[:60], "damaged"),
    ):
        answer = upload(client, content)
        assert answer.status_code == 422
        assert reason in answer.json()["detail"]


def test_more_parts_than_it_takes_are_refused(client):
    parts = [("image", ("x.png", b"x")) for _ in range(1500)]
    assert client.post("/api/read", files=parts).status_code == 400


def test_no_such_study_or_arm(client):
    assert upload(client, png(16), study="nope").status_code == 404
    assert upload(client, png(16), arm="nope").status_code == 404


def test_slow_and_huge_requests_do_not_hold_up_the_others(served_store, tmp_path):
    with serving(served_store, tmp_path) as address:
        host, port = address.removeprefix("http://").split(":")
        slow = socket.create_connection((host, int(port)))
        head = f"POST /read HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        slow.sendall(f"{head}Content-Length: 1000000\r\n\r\n--b".encode())
        stop, waits = threading.Event(), []

        def ask_for_health():
            while not stop.is_set():
                began = time.monotonic()
                assert httpx.get(f"{address}/healthz", timeout=20).status_code == 200
                waits.append(time.monotonic() - began)
                time.sleep(0.02)

        asking = threading.Thread(target=ask_for_health)
        asking.start()
        # 81 million pixels, as many as may be: decoding takes its time
        form = {"study": "small", "arm": "batch/8"}
        answer = httpx.post(f"{address}/api/read", data=form, files={"image": ("x.png", png(9_000))}, timeout=120)
        stop.set()
        asking.join()
        slow.close()
    assert answer.status_code == 200
    assert len(waits) > 20
    assert np.quantile(waits, 0.9) < 0.2, sorted(waits)[-5:]


def test_no_address_that_a_client_sends_is_fetched(client, tmp_path):
    hits = []

    class Canary(BaseHTTPRequestHandler):
        def do_GET(self):
            hits.append(self.path)
            self.send_response(200)
            self.end_headers()

        do_POST = do_HEAD = do_GET

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Canary)
    listening = threading.Thread(target=server.serve_forever)
    listening.start()
    try:
        bait = f"http://127.0.0.1:{server.server_port}/bait"
        for method, address in routes(client.app):
            if address.endswith(("/events", "/start")):
                # one would answer for ever, the other train
                continue
            client.request(method, address, params={"study": bait, "arm": bait, "sort": bait, "token": bait})
            if method == "POST":
                form = {"study": bait, "arm": bait, "seeds": bait, "url": bait, "image": bait}
                client.post(address, data=form)
                client.post(address, json=form)
                client.post(address, data={"study": "small", "arm": bait}, files={"image": (bait, bait.encode())})
                client.post(f"/studies/{bait}/start")
    finally:
        server.shutdown()
        listening.join()
        server.server_close()
    assert hits == []


def test_only_known_studies_can_be_started(client, tmp_path):
    for name in ("nope", "..", "a" * 61, "small%2f..", "--help"):
        assert client.post(f"/studies/{name}/start").status_code in (404, 422), name
    assert client.post("/studies/small/start", data={"seeds": "1; rm"}).status_code == 422


def test_static_files_are_those_of_the_package_alone(client):
    for name in ("../app.py", "%2e%2e%2fapp.py", "nope.js", "..%2f..%2fpyproject.toml"):
        assert client.get(f"/static/{name}").status_code == 404
    answer = client.get("/static/htmx.min.js")
    assert answer.status_code == 200
    assert client.get("/static/htmx.min.js", headers={"if-none-match": answer.headers["etag"]}).status_code == 304


def test_every_route_says_what_it_takes(client):
    assert all(not isinstance(route, APIRoute) or route.endpoint.__doc__ for route in client.app.routes)
