"""Where the server listens, what it says before that, and how it ends."""

import os
import signal
import socket
import subprocess
import sys
import time
from threading import Thread

import httpx2 as httpx
import pytest

from doubleread.errors import UserError
from doubleread.server import listening, serving
from tests.server.conftest import answers, free_port, wait_for


@pytest.fixture
def taken():
    """A port on which another program listens, the next one being free."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            try:
                socket.create_server(("127.0.0.1", port + 1)).close()
            except (OSError, OverflowError):
                continue
            yield port
            return


def test_a_port_that_is_taken_is_refused_before_an_address_is_said(call, served_store, taken):
    code, out, err = call("serve", "--store", served_store, "--port", taken)
    assert (code, out) == (2, "")
    assert err == f"doubleread: --port {taken}: another program listens there; try --port {taken + 1}\n"


@pytest.mark.parametrize(
    ("host", "port", "message"),
    [
        ("127.0.0.1", 80999, "--port: got 80999; expected 1 to 65535; try --port 8000"),
        ("127.0.0.1", 0, "--port: got 0; expected 1 to 65535; try --port 8000"),
        (
            "192.0.2.1",
            8000,
            "--host 192.0.2.1: no address of this machine; expected such as 127.0.0.1; check the address",
        ),
    ],
)
def test_an_address_that_cannot_be_had(host, port, message):
    with pytest.raises(UserError) as error, listening.listening(host, port):
        pass
    assert str(error.value) == message


def test_what_the_system_refuses_is_said(monkeypatch):
    def refuse(number):
        def opened(*_):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(listening, "_opened", opened)
        with pytest.raises(UserError) as error, listening.listening("127.0.0.1", 80):
            pass
        return str(error.value)

    assert refuse(13) == "--port 80: this user may not listen there; expected 1024 or above; try --port 8000"
    assert refuse(98) == "--port 80: another program listens there; give another port"
    assert refuse(24) == "--port 80: it cannot be had (Too many open files); give another port"


def test_a_name_is_listened_on_by_all_its_addresses():
    port = free_port()
    with listening.listening("localhost", port) as sockets:
        assert ("127.0.0.1", port) in [one.getsockname()[:2] for one in sockets]
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            pass
    assert all(one.fileno() == -1 for one in sockets)


def test_another_mishap_is_logged_while_it_ends(caplog):
    class Server:
        should_exit = True
        force_exit = False

    quiet = serving._Quiet(Server())
    record = serving.logging.LogRecord("uvicorn.error", 40, "", 0, "Exception in ASGI application", (), None)
    assert quiet.filter(record)
    record.exc_info = (ValueError, ValueError("a fault"), None)
    assert quiet.filter(record)
    record.exc_info = (serving.asyncio.CancelledError, serving.asyncio.CancelledError(), None)
    assert not quiet.filter(record)
    Server.should_exit = False
    assert quiet.filter(record)


@pytest.mark.parametrize(("number", "times"), [(signal.SIGTERM, 1), (signal.SIGINT, 1), (signal.SIGINT, 2)])
def test_it_ends_cleanly_while_pages_are_loading(served_store, tmp_path, number, times):
    """The signal goes to all its processes, as a terminal sends Ctrl-C."""
    port = free_port()
    words = [sys.executable, "-m", "doubleread", "serve", "--store", str(served_store), "--port", str(port)]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=tmp_path, start_new_session=True
    ) as process:
        address = f"http://127.0.0.1:{port}/"
        wait_for(lambda: answers(address))
        asked = [
            Thread(target=_ask, args=(f"{address}studies/small/events",)),
            Thread(target=_ask, args=(f"{address}api/read",), kwargs={"reads": True}),
        ]
        for one in asked:
            one.start()
        httpx.get(f"{address}studies/small/report", timeout=30)
        # now one process starts for the report, another one for the image
        for _ in range(times):
            time.sleep(0.5)
            os.killpg(process.pid, number) if number == signal.SIGINT else process.send_signal(number)
        said = process.communicate(timeout=60)[0]
        for one in asked:
            one.join()
    assert (process.returncode, said) == (0, f"{address}  (Ctrl-C stops it)\n")


def _ask(address, *, reads=False):
    form = {"study": "small", "arm": "batch/8"}
    try:
        if reads:
            httpx.post(address, data=form, files={"image": ("x.png", b"GIF")}, timeout=60)
        else:
            httpx.get(address, timeout=60)
    except httpx.TransportError:
        # it was cut off
        pass
