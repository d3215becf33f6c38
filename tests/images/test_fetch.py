"""Fetching from a server on this machine: whole, cut off and gone on with, and everything that is refused."""

import errno
import hashlib
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
import requests
from rich.console import Console

from doubleread import disk
from doubleread.errors import UserError, WorkFailed
from doubleread.images import fetch as module
from doubleread.images import unpack as unpacking
from doubleread.images.fetch import Patience, fetch_file, fetch_set
from doubleread.images.public_sets import SETS, SIZES, PublicFile, PublicSet, choose
from doubleread.runner import Progress
from tests.images.test_unpack import GOOD, JUNK, silent, write_zip
from tests.reliability.faults import FULL, Counting, Failing, using

BODY = bytes(range(256)) * 4096  # 1 MiB
CUT = BODY[: 2**19 + 1000]
AT_ONCE = Patience(pause=0.0, silence=5.0)
ONCE = Patience(tries=1, pause=0.0, silence=5.0)


@dataclass
class Script:
    """What the server does; `cuts` are after how many bytes of a body it hangs up, answer by answer, None never."""

    body: bytes = BODY
    etag: str | None = '"one"'
    modified: str | None = None
    ranges: bool = True
    cuts: list[int | None] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    announced: str | None = ""
    location: str | None = None
    range_said: str | None = None
    asked: list[dict[str, str]] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/set.npz"

    def file(self, **changes) -> PublicFile:
        known = {"name": "set.npz", "url": self.url, "hash": f"md5:{hashlib.md5(self.body).hexdigest()}"}
        return PublicFile(**{**known, **changes})


class Handler(BaseHTTPRequestHandler):
    script: Script

    def log_message(self, *_):
        """Say nothing."""

    def do_GET(self):
        script = self.script
        script.asked.append(dict(self.headers))
        if script.location and self.path == "/set.npz":
            # its body is never sent, and nobody waits for it
            self.answer(302, {"Location": script.location, "Content-Length": "1000"})
            return
        if script.statuses and (status := script.statuses.pop(0)) != 200:
            self.answer(status, {"Content-Length": "0"})
            return
        wanted, fresh = self.headers.get("Range"), self.headers.get("If-Range") in (script.etag, script.modified)
        first = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and script.ranges and fresh else 0
        said = {"ETag": script.etag, "Last-Modified": script.modified, **script.headers}
        said["Content-Length"] = script.announced
        if script.announced == "":
            said["Content-Length"] = str(len(script.body) - first)
        if first >= len(script.body):
            self.answer(416, {"Content-Length": "0"})
            return
        if first:
            last = len(script.body) - 1
            said["Content-Range"] = script.range_said or f"bytes {first}-{last}/{len(script.body)}"
        self.answer(206 if first else 200, said)
        self.send(script.body[first:], script.cuts.pop(0) if script.cuts else None)

    def answer(self, status, headers):
        self.send_response(status)
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()

    def send(self, body, cut):
        try:
            self.wfile.write(body if cut is None else body[:cut])
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            # the other side has seen enough
            self.close_connection = True


class Server(ThreadingHTTPServer):
    """Waits for its threads when it closes."""

    daemon_threads = False

    def handle_error(self, *_):
        """Say nothing of clients that hang up."""


@contextmanager
def serving(context=None):
    """Serve one file on this machine, as the script says that this gives; with `context`, by https."""
    script = Script()
    handler = type("ThisHandler", (Handler,), {"script": script})
    with Server(("127.0.0.1", 0), handler) as running:
        if context is not None:
            running.socket = context.wrap_socket(running.socket, server_side=True)
        script.port = running.server_address[1]
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield script
        finally:
            running.shutdown()
            thread.join()


@pytest.fixture
def server(monkeypatch):
    """A server of one file, past any proxy."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1,localhost")
    with serving() as script:
        yield script


@pytest.fixture
def failing(server, tmp_path):
    """Return a function that fetches, checks that it fails, and gives the message."""

    def run(patience=ONCE, **changes):
        with pytest.raises(WorkFailed) as error:
            fetch_file(server.file(**changes), tmp_path / "set.npz", silent, patience)
        assert not (tmp_path / "set.npz").exists()
        assert not (tmp_path / ".set.npz.draft").exists()
        place, _, message = str(error.value).partition(": ")
        assert place == "127.0.0.1, set.npz"
        return message

    return run


def part(folder):
    return (folder / "set.npz.part").read_bytes()


def test_a_whole_file(server, tmp_path):
    shown = []
    assert fetch_file(server.file(), tmp_path / "set.npz", lambda *all: shown.append(all), ONCE)
    assert (tmp_path / "set.npz").read_bytes() == BODY
    assert os.listdir(tmp_path) == ["set.npz"]
    assert shown[-1] == ("downloading bytes", len(BODY), len(BODY))
    assert [done for _, done, _ in shown] == sorted(done for _, done, _ in shown)
    [asked] = server.asked
    assert "Range" not in asked
    assert "Authorization" not in asked
    assert asked["Accept-Encoding"] == "identity"
    assert asked["User-Agent"].startswith("doubleread/")


def test_a_password_for_the_host_is_not_sent(server, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert requests.get(server.url, timeout=5).status_code == 200
    assert "Authorization" in server.asked[0]
    assert fetch_file(server.file(), tmp_path / "set.npz", silent, ONCE)
    assert "Authorization" not in server.asked[1]


def test_a_file_that_is_there_is_not_fetched_again(server, tmp_path):
    (tmp_path / "set.npz").write_bytes(BODY)
    (tmp_path / "set.npz.part").write_bytes(b"left over")
    assert not fetch_file(server.file(bytes=len(BODY)), tmp_path / "set.npz", silent, ONCE)
    assert server.asked == []
    assert os.listdir(tmp_path) == ["set.npz"]


def test_another_file_that_is_there_is_left_alone(server, tmp_path):
    target, known = tmp_path / "set.npz", server.file()
    target.write_bytes(b"mine")
    for file, found, size in (
        (known, "with the hash md5:" + hashlib.md5(b"mine").hexdigest(), ""),
        (server.file(bytes=len(BODY)), "with 4 bytes", ", 1,048,576 bytes"),
    ):
        with pytest.raises(UserError) as error:
            fetch_file(file, target, silent, ONCE)
        assert str(error.value) == (
            f"{target}: it is there {found}; expected {known.hash}{size}; move it away, or add --to DIR"
        )
    target.unlink()
    target.mkdir()
    with pytest.raises(UserError) as error:
        fetch_file(known, target, silent, ONCE)
    assert error.value.found == "it is there and is no file"
    assert server.asked == []


@pytest.mark.parametrize("validator", [{"etag": '"one"'}, {"etag": None, "modified": "Mon, 01 Jan 2024 00:00:00 GMT"}])
def test_a_transfer_that_is_cut_goes_on(server, tmp_path, validator):
    server.etag, server.modified = validator["etag"], validator.get("modified")
    server.cuts = [len(CUT), 1000, 2**17]
    assert fetch_file(server.file(), tmp_path / "set.npz", silent, AT_ONCE)
    assert (tmp_path / "set.npz").read_bytes() == BODY
    assert os.listdir(tmp_path) == ["set.npz"]
    starts = [asked.get("Range") for asked in server.asked]
    # what came in less than a piece is asked for again
    assert starts == [None, f"bytes={2**19}-", f"bytes={2**19}-", f"bytes={2**19 + 2**17}-"]
    assert [asked.get("If-Range") for asked in server.asked] == [None] + [server.etag or server.modified] * 3


def test_the_next_command_goes_on_from_what_was_kept(server, failing, tmp_path):
    server.cuts = [len(CUT)]
    assert failing() == (
        "the connection was cut, or was silent for too long (tried once); 524,288 of 1,048,576 bytes have arrived and"
        " are kept; the same command goes on from there"
    )
    assert part(tmp_path) == BODY[: 2**19]
    assert fetch_file(server.file(), tmp_path / "set.npz", silent, ONCE)
    assert (tmp_path / "set.npz").read_bytes() == BODY
    assert server.asked[1]["Range"] == f"bytes={2**19}-"


def test_tries_come_to_an_end(server, failing):
    server.cuts = [0] * 9
    assert failing(Patience(tries=3, pause=0.0)) == (
        "the connection was cut, or was silent for too long (tried 3 times); nothing is kept; check the network, then"
        " the same command begins again"
    )
    assert len(server.asked) == 3


def test_pauses_double(server, failing, monkeypatch):
    slept = []
    monkeypatch.setattr(module, "time", SimpleNamespace(sleep=slept.append))
    server.statuses = [503, 429, 500, 502]
    assert failing(Patience(tries=4, pause=0.5)) == (
        "the server answered 502 (tried 4 times); nothing is kept; check the network, then the same command begins"
        " again"
    )
    assert slept == [0.5, 1.0, 2.0]


def test_a_busy_server_is_asked_again_and_what_has_arrived_stays(server, tmp_path):
    server.cuts, server.statuses = [len(CUT)], [200, 503]
    assert fetch_file(server.file(), tmp_path / "set.npz", silent, AT_ONCE)
    assert (tmp_path / "set.npz").read_bytes() == BODY
    assert [asked.get("Range") for asked in server.asked] == [None, f"bytes={2**19}-", f"bytes={2**19}-"]


def test_a_server_that_knows_no_ranges(server, tmp_path):
    server.ranges, server.cuts = False, [len(CUT)]
    assert fetch_file(server.file(), tmp_path / "set.npz", silent, AT_ONCE)
    assert (tmp_path / "set.npz").read_bytes() == BODY
    assert [asked.get("Range") for asked in server.asked] == [None, f"bytes={2**19}-"]


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_a_sign_that_it_is_the_same_file_it_begins_again(server, failing, tmp_path, etag):
    server.etag, server.cuts = etag, [len(CUT)]
    assert failing().endswith("; nothing is kept; check the network, then the same command begins again")
    assert fetch_file(server.file(), tmp_path / "set.npz", silent, ONCE)
    assert (tmp_path / "set.npz").read_bytes() == BODY
    assert [asked.get("Range") for asked in server.asked] == [None, None]


def test_a_file_that_has_changed_in_between_begins_again(server, failing, tmp_path):
    server.cuts = [len(CUT)]
    known = server.file()
    failing()
    server.body, server.etag = BODY[::-1], '"two"'
    # the catalogue knows the new one
    changed = server.file()
    state = json.loads((tmp_path / "set.npz.part.json").read_text())
    assert state == {"url": server.url, "hash": known.hash, "total": len(BODY), "validator": '"one"'}
    (tmp_path / "set.npz.part.json").write_text(json.dumps({**state, "hash": changed.hash}))
    assert fetch_file(changed, tmp_path / "set.npz", silent, ONCE)
    assert (tmp_path / "set.npz").read_bytes() == server.body
    assert [asked.get("If-Range") for asked in server.asked] == [None, '"one"']


def test_what_has_arrived_of_another_file_is_not_gone_on_with(server, failing, tmp_path):
    server.cuts = [len(CUT)]
    failing()
    server.body = BODY[::-1]
    assert fetch_file(server.file(), tmp_path / "set.npz", silent, ONCE)
    assert (tmp_path / "set.npz").read_bytes() == server.body
    assert [asked.get("Range") for asked in server.asked] == [None, None]


@pytest.mark.parametrize("said", ["bytes 5-1048575/1048576", "bytes 524288-1048575/1048577", "bytes */7", "nonsense"])
def test_the_rest_of_something_else_begins_again(server, tmp_path, said):
    server.range_said, server.cuts = said, [len(CUT)]
    assert fetch_file(server.file(), tmp_path / "set.npz", silent, AT_ONCE)
    assert (tmp_path / "set.npz").read_bytes() == BODY
    assert [asked.get("Range") for asked in server.asked] == [None, f"bytes={2**19}-", None]


def test_a_part_that_is_longer_than_the_file_is_now_begins_again(server, failing, tmp_path):
    server.cuts = [len(CUT)]
    failing()
    server.body = BODY[:1000]
    state = json.loads((tmp_path / "set.npz.part.json").read_text())
    (tmp_path / "set.npz.part.json").write_text(json.dumps({**state, "hash": server.file().hash}))
    assert fetch_file(server.file(), tmp_path / "set.npz", silent, ONCE)
    assert (tmp_path / "set.npz").read_bytes() == BODY[:1000]
    # the server answered 416 to the first
    assert [asked.get("Range") for asked in server.asked] == [None, f"bytes={2**19}-", None]


@pytest.mark.parametrize("damage", ["", "[]", "{}", '{"url": 1, "hash": 2}', "{"])
def test_a_damaged_note_begins_again(server, failing, tmp_path, damage):
    server.cuts = [len(CUT)]
    failing()
    (tmp_path / "set.npz.part.json").write_text(damage)
    assert fetch_file(server.file(), tmp_path / "set.npz", silent, ONCE)
    assert (tmp_path / "set.npz").read_bytes() == BODY


def test_a_whole_part_is_checked_without_asking(server, tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pooch.core.hash_matches", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fetch_file(server.file(), tmp_path / "set.npz", silent, ONCE)
    assert sorted(os.listdir(tmp_path)) == ["set.npz.part", "set.npz.part.json"]
    assert fetch_file(server.file(), tmp_path / "set.npz", silent, ONCE)
    assert (tmp_path / "set.npz").read_bytes() == BODY
    assert len(server.asked) == 1


def test_an_interrupted_transfer_keeps_what_has_arrived(server, tmp_path):
    def interrupt(what, done, total):
        if done >= 2**19:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_file(server.file(), tmp_path / "set.npz", interrupt, AT_ONCE)
    assert part(tmp_path) == BODY[: 2**19]
    assert fetch_file(server.file(), tmp_path / "set.npz", silent, ONCE)
    assert server.asked[1]["Range"] == f"bytes={2**19}-"
    assert (tmp_path / "set.npz").read_bytes() == BODY


def test_a_wrong_hash(server, failing, tmp_path):
    right, found = "sha256:" + "0" * 64, f"sha256:{hashlib.sha256(BODY).hexdigest()}"
    again = (
        f"; expected {right}; it is removed: try again, and if that does not help, the file or the way to it is not to"
        " be trusted"
    )
    assert failing(hash=right) == f"what was fetched has the hash {found}{again}"
    assert os.listdir(tmp_path) == []


class NoLinks(disk.Disk):
    """A disk on which no file has two names."""

    def link(self, source, target):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))


def test_a_file_system_without_second_names(server, failing, tmp_path):
    with using(NoLinks()):
        assert fetch_file(server.file(), tmp_path / "set.npz", silent, ONCE)
        assert (tmp_path / "set.npz").read_bytes() == BODY
        assert os.listdir(tmp_path) == ["set.npz"]
        (tmp_path / "set.npz").unlink()
        assert failing(hash="md5:" + "0" * 32).startswith("what was fetched has another hash; expected md5:000")
    assert os.listdir(tmp_path) == []


def test_another_size_than_the_catalogue_has(server, failing, tmp_path):
    assert failing(bytes=7) == (
        f"the server announces 1,048,576 bytes; expected 7; look with a browser whether {server.url} has changed"
    )
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("announced", "said"), [(str(2**35 + 1), "34,359,738,369 bytes"), (None, "no size"), ("x", "no size")]
)
def test_sizes_that_are_refused(server, failing, tmp_path, announced, said):
    server.announced = announced
    assert failing() == (f"the server announces {said}; expected at most 34,359,738,368 bytes; try again later")
    assert os.listdir(tmp_path) == []


def test_a_body_without_end(server, failing, tmp_path):
    """Its size is known, and the server does not say any; it is read no further than that."""
    server.announced = None
    server.body = BODY * 32
    assert failing(bytes=200_000) == (
        "more than the 200,000 bytes that were announced; nothing is kept; try another network"
    )
    assert os.listdir(tmp_path) == []


def test_a_server_that_says_no_size_of_a_file_whose_size_is_known(server, tmp_path):
    server.announced, server.cuts = None, [2**19]
    assert fetch_file(server.file(bytes=len(BODY)), tmp_path / "set.npz", silent, AT_ONCE)
    assert (tmp_path / "set.npz").read_bytes() == BODY
    assert server.asked[1]["Range"] == f"bytes={2**19}-"


def test_a_packed_body(server, failing, tmp_path):
    server.headers = {"Content-Encoding": "gzip"}
    assert failing() == "the server packs the file; expected it as it is; try another network"
    assert os.listdir(tmp_path) == []


def test_other_answers(server, failing):
    server.statuses = [404]
    assert failing(AT_ONCE) == (
        f"the server answered 404; expected 200; look with a browser whether {server.url} is there"
    )
    assert len(server.asked) == 1


def test_redirects(server, failing, tmp_path):
    server.location = "/there.npz"
    assert fetch_file(server.file(), tmp_path / "set.npz", silent, ONCE)
    (tmp_path / "set.npz").unlink()
    server.location = "/set.npz"
    assert failing() == "more than 5 redirects; expected the file; try again later"


@pytest.mark.parametrize(
    "location",
    [
        "http://localhost:{port}/x",
        "http://127.0.0.1:1/x",
        "http://example.org/x",
        "http://127.0.0.1:{port}@example.org/x",
        "//example.org/x",
        "ftp://127.0.0.1/x",
        "file:///etc/passwd",
        "https:///x",
        "//[",
        "https://" + "a" * 70 + ".example/x",
        "https://exa mple/x",
        "https://127.0.0.1:99999999/x",
    ],
)
def test_redirects_to_elsewhere(server, failing, location):
    server.location = location.format(port=server.port)
    shown = f"http:{server.location}" if location == "//example.org/x" else server.location
    assert failing(AT_ONCE) == (
        f"it is said to lie at {shown}; expected an address with https; nothing was fetched from there"
    )
    assert len(server.asked) == 1


def test_an_address_without_https(tmp_path):
    file = PublicFile(name="set.npz", url="http://example.org/set.npz", hash="md5:" + "0" * 32)
    with pytest.raises(WorkFailed) as error:
        fetch_file(file, tmp_path / "set.npz", silent, ONCE)
    assert str(error.value) == (
        "example.org, set.npz: it is said to lie at http://example.org/set.npz; expected an address with https; nothing"
        " was fetched from there"
    )


@pytest.fixture
def own_certificate(server, tmp_path_factory):
    """Give the server a certificate that nobody has signed."""
    folder = tmp_path_factory.mktemp("certificate")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=127.0.0.1"
    subprocess.run(
        [*command.split(), "-addext", "subjectAltName=IP:127.0.0.1"], cwd=folder, check=True, capture_output=True
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    with serving(context) as script:
        yield script, folder / "cert.pem"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_a_certificate_must_be_trusted(server, failing, own_certificate, tmp_path, monkeypatch):
    safe, certificate = own_certificate
    server.location = f"https://127.0.0.1:{safe.port}/set.npz"
    assert failing(AT_ONCE) == (
        "no safe connection; expected a certificate that this machine trusts; see whether its clock is right, and ask"
        " whoever runs the network"
    )
    assert safe.asked == []
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    assert fetch_file(server.file(), tmp_path / "set.npz", silent, ONCE)
    assert (tmp_path / "set.npz").read_bytes() == BODY
    assert len(safe.asked) == 1


def test_no_connection_and_no_answer(tmp_path, server):
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        port = deaf.getsockname()[1]
        file = PublicFile(name="set.npz", url=f"http://127.0.0.1:{port}/set.npz", hash="md5:" + "0" * 32)
        with pytest.raises(WorkFailed) as silence:
            fetch_file(file, tmp_path / "set.npz", silent, Patience(tries=1, silence=0.1))
    with pytest.raises(WorkFailed) as nobody:
        fetch_file(file, tmp_path / "set.npz", silent, Patience(tries=2, pause=0.0))
    then = "; nothing is kept; check the network, then the same command begins again"
    assert str(silence.value) == f"127.0.0.1, set.npz: no answer within 0.1 s (tried once){then}"
    assert str(nobody.value) == f"127.0.0.1, set.npz: no connection (tried 2 times){then}"
    assert os.listdir(tmp_path) == []


def test_a_full_disk_keeps_what_has_arrived(server, tmp_path):
    with using(Counting()) as counted:
        fetch_file(server.file(), tmp_path / "set.npz", silent, ONCE)
    (tmp_path / "set.npz").unlink()
    writes = [number for number, name in enumerate(counted.names, 1) if name == "write"]
    with using(Failing(writes[9], FULL, lasting=True)), pytest.raises(OSError, match="No space") as error:
        fetch_file(server.file(), tmp_path / "set.npz", silent, AT_ONCE)
    assert error.value.errno == errno.ENOSPC
    assert sorted(os.listdir(tmp_path)) == ["set.npz.part", "set.npz.part.json"]
    # the first write is the note of what the server said; half of the last got there
    kept = 8 * module.PIECE + module.PIECE // 2
    assert part(tmp_path) == BODY[:kept]
    assert fetch_file(server.file(), tmp_path / "set.npz", silent, ONCE)
    assert (tmp_path / "set.npz").read_bytes() == BODY
    assert server.asked[-1]["Range"] == f"bytes={kept}-"


def test_a_disk_that_fails_anywhere_keeps_or_finishes(server, tmp_path):
    server.body = BODY[: 2 * module.PIECE]
    with using(Counting()) as counted:
        fetch_file(server.file(), tmp_path / "set.npz", silent, ONCE)
    for number in range(1, len(counted.names) + 1):
        (tmp_path / "set.npz").unlink(missing_ok=True)
        with using(Failing(number, FULL, lasting=True)), suppress(OSError):
            fetch_file(server.file(), tmp_path / "set.npz", silent, ONCE)
        fetch_file(server.file(), tmp_path / "set.npz", silent, ONCE)
        assert (tmp_path / "set.npz").read_bytes() == server.body
        assert os.listdir(tmp_path) == ["set.npz"]


def test_no_room_is_said_before_the_transfer(server, tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(WorkFailed) as error:
        fetch_file(server.file(), tmp_path / "set.npz", silent, ONCE)
    assert str(error.value) == (
        f"{tmp_path}: 1,048,576 bytes are needed, 1,000 are free; free some space, then the same command goes on from"
        " here, or add --to DIR"
    )
    assert not (tmp_path / "set.npz.part").exists()


def test_what_a_killed_process_left_is_removed(server, tmp_path):
    (tmp_path / ".set.npz.draft").mkdir()
    (tmp_path / ".set.npz.draft" / "tmpabc").write_bytes(b"x")
    assert fetch_file(server.file(), tmp_path / "set.npz", silent, ONCE)
    assert os.listdir(tmp_path) == ["set.npz"]


def test_progress_is_plain_lines(server, tmp_path, capsys):
    console = Console(stderr=True, highlight=False)
    with Progress(console, "set") as show:
        assert fetch_file(server.file(), tmp_path / "set.npz", show.reading, ONCE)
    captured = capsys.readouterr()
    assert captured.out == ""
    # one line in ten seconds, and nothing of pooch's
    assert captured.err == "set: downloading bytes, 65,536 of 1,048,576\n"


def a_set(file, inside=None):
    return PublicSet(
        name="kermany", what="films", classes=2, images=3, licence="CC BY 4.0", citation="me", files={None: file},
        inside=inside,
    )  # fmt: skip


@pytest.fixture
def archive(server, tmp_path_factory):
    """Let the server have an archive, and return the file and the set."""
    path = write_zip(tmp_path_factory.mktemp("archive") / "kermany.zip", [*GOOD.items(), *JUNK.items()])
    server.body = path.read_bytes()
    file = server.file(name="kermany.zip", bytes=len(server.body))
    return file, a_set(file, "chest_xray")


def test_an_archive_is_unpacked(server, archive, tmp_path):
    file, films = archive
    shown = []
    found = fetch_set(films, file, tmp_path, lambda *all: shown.append(all), ONCE)
    assert (found.path, found.bytes, found.fetched) == (tmp_path / "kermany", len(server.body), True)
    assert os.listdir(tmp_path) == ["kermany"]
    assert {name: (found.path / name.removeprefix("chest_xray/")).read_bytes() for name in GOOD} == GOOD
    assert {what for what, *_ in shown} == {"downloading bytes", "unpacking files"}
    again = fetch_set(films, file, tmp_path, silent, ONCE)
    assert (again.path, again.bytes, again.fetched) == (tmp_path / "kermany", len(server.body), False)
    assert len(server.asked) == 1


def test_a_cut_off_unpacking_is_gone_on_with_without_fetching(server, archive, tmp_path):
    file, films = archive

    def interrupt(what, done, total):
        if what == "unpacking files" and done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_set(films, file, tmp_path, interrupt, ONCE)
    assert os.listdir(tmp_path) == ["kermany.zip"]
    found = fetch_set(films, file, tmp_path, silent, ONCE)
    assert not found.fetched
    assert os.listdir(tmp_path) == ["kermany"]
    assert len(server.asked) == 1


def test_a_second_fetch_into_the_same_folder_waits_for_nothing(server, archive, tmp_path):
    file, films = archive
    held = disk.lock(tmp_path)
    with pytest.raises(WorkFailed) as error:
        fetch_set(films, file, tmp_path, silent, ONCE)
    os.close(held)
    assert str(error.value) == f"{tmp_path}: another fetch writes there; wait for it, or add --to DIR"
    assert server.asked == []
    assert fetch_set(films, file, tmp_path, silent, ONCE).fetched


def test_the_catalogue():
    medmnist = [one for one in SETS.values() if one.inside is None]
    assert len(medmnist) == 12
    files = [file for one in medmnist for file in one.files.values()]
    assert len({file.hash for file in files}) == len({file.name for file in files}) == 48
    for one in medmnist:
        assert tuple(one.sizes) == SIZES == (28, 64, 128, 224)
        for size, file in one.files.items():
            assert file.name == (f"{one.name}.npz" if size == 28 else f"{one.name}_{size}.npz")
            assert file.url == f"https://zenodo.org/records/10519652/files/{file.name}?download=1"
            assert re.fullmatch(r"md5:[0-9a-f]{32}", file.hash)
            assert file.bytes is None
    assert sum(one.images for one in medmnist) == 707_962
    assert [one.name for one in SETS.values() if one.licence != "CC BY 4.0"] == ["dermamnist"]
    assert SETS["dermamnist"].licence == "CC BY-NC 4.0"
    assert [one.name for one in SETS.values() if one.several] == ["chestmnist"]
    [films] = [one for one in SETS.values() if one.inside is not None]
    [file] = films.files.values()
    assert (films.name, films.inside, films.sizes) == ("kermany", "chest_xray", [])
    assert file.url.startswith("https://data.mendeley.com/public-files/datasets/rscbjbr9sj/")
    assert file.bytes == 1_235_512_464
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", file.hash)


def test_choosing():
    assert choose("pneumoniamnist", None)[1].name == "pneumoniamnist.npz"
    assert choose("PneumoniaMNIST", 64)[1].name == "pneumoniamnist_64.npz"
    assert choose("kermany", None)[1].name == "kermany.zip"
