"""The real web server, with two threads and no proxy, beside clients that are slow, silent, greedy or unusual."""

import json
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest
from django.conf import settings

from config.server.limits import TOO_LONG_A_HEAD, Limits
from tests.services.servers import descendants, free_port, kill_9

PATIENCE_SECONDS = 600  # with a busy machine; nothing asserts a duration
MANY = 40
SHIPPED = Limits()
BODY = b"0123456789" * 10
HALF_HEAD = b"POST /half HTTP/1.1\r\nHost: x\r\nX-Unfinis"
HALF_BODY = b"POST /half HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf"
HALF_CHUNK = b"POST /half HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n50\r\nhalf"
LARGE = b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n"
WHOLE = b"GET /1 HTTP/1.1\r\nHost: x\r\n\r\n"


class Server:
    """gunicorn as shipped, one process, two threads."""

    def __init__(self, **environment: str) -> None:
        self.port = free_port()
        command = [sys.executable, "-m", "gunicorn", "--config", "python:config.gunicorn"]
        self.process = subprocess.Popen(
            [*command, "--bind", f"127.0.0.1:{self.port}", "tests.server.application"],
            cwd=settings.BASE_DIR,
            env={**os.environ, "WEB_CONCURRENCY": "1", "WEB_THREADS": "2", **environment},
            start_new_session=True,
        )
        wait_until(self._answers)

    def _answers(self) -> bool:
        assert self.process.poll() is None, "the server ended"
        try:
            return self.answer("/ready") == b"GET /ready 0 0"
        except OSError:
            return False

    def connection_count(self) -> int:
        """Return the number of open sockets of the serving process, without the listening one."""
        (worker,) = descendants(self.process.pid)
        files = list(Path(f"/proc/{worker}/fd").iterdir())
        return sum("socket:" in str(file.readlink()) for file in files if file.is_symlink()) - 1

    def has_read_everything(self) -> bool:
        """Return whether no bytes to the process are in transit or wait in the kernel."""
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        queues = [row[4] for row in rows if any(place.endswith(f":{self.port:04X}") for place in row[1:3])]
        return set(queues) == {"00000000:00000000"}

    def connect(self, data: bytes = b"") -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_SECONDS)
        client.sendall(data)
        return client

    def answer(self, path: str, body: bytes | None = None) -> bytes:
        """Return the response to an ordinary client."""
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_SECONDS)) as line:
            line.request("POST" if body else "GET", path, body)
            return line.getresponse().read()


def wait_until(question: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not question():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@contextmanager
def serving(**environment: str) -> Iterator[Server]:
    server = Server(**environment)
    try:
        yield server
    finally:
        kill_9(server.process)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server with the shipped deadlines, which no test waits for."""
    with serving() as one:
        yield one


@pytest.fixture(scope="module")
def strict() -> Iterator[Server]:
    """A server with deadlines that pass at once."""
    with serving(
        REQUEST_HEAD_SECONDS="0.3", REQUEST_BODY_SECONDS="0.3", RESPONSE_SECONDS="0.3", REQUEST_MOST_BYTES="100000"
    ) as one:
        yield one


def response(client: socket.socket) -> tuple[int, bytes]:
    answer = HTTPResponse(client)
    answer.begin()
    return answer.status, answer.read()


def received_until(client: socket.socket, end: bytes) -> bytes:
    """Return the received bytes up to `end`; the socket's timeout limits the wait."""
    received = b""
    while not received.endswith(end):
        received += (piece := client.recv(4096))
        assert piece, received
    return received


def assert_is_up(server: Server) -> None:
    assert server.answer("/get") == b"GET /get 0 0"
    assert server.answer("/post", BODY) == b"POST /post 100 %d" % sum(BODY)


@pytest.mark.parametrize("beginning", [b"", HALF_HEAD, HALF_BODY, HALF_CHUNK, LARGE])
def test_others_are_answered_while_many_clients_hang(server: Server, beginning: bytes) -> None:
    with ExitStack() as stack:
        hanging = [stack.enter_context(server.connect(beginning)) for _ in range(MANY)]
        for _ in range(3):
            assert_is_up(server)
        assert len(hanging) == MANY


def test_clients_that_send_one_byte_after_the_other_hold_nobody_up(server: Server) -> None:
    with ExitStack() as stack:
        hanging = [stack.enter_context(server.connect(HALF_BODY)) for _ in range(MANY)]
        for _ in range(3):
            for client in hanging:
                client.sendall(b"x")
            assert_is_up(server)


def test_a_request_that_never_comes_whole_is_told_so(strict: Server) -> None:
    with ExitStack() as stack:
        for client in [stack.enter_context(strict.connect(data)) for data in (HALF_HEAD, HALF_BODY, HALF_CHUNK)]:
            status, sentence = response(client)
            assert (status, client.recv(1)) == (408, b"")
            assert b"did not arrive in time" in sentence


def test_a_body_that_came_fast_may_not_stand_still() -> None:
    head = b"POST /half HTTP/1.1\r\nHost: x\r\nContent-Length: 15000001\r\n\r\n"
    with serving(REQUEST_BODY_SECONDS="3") as server, server.connect(head + bytes(15_000_000)) as client:
        assert response(client)[0] == 408


def test_a_request_that_is_refused_unread_is_one_line_in_the_log(tmp_path: Path) -> None:
    log = tmp_path / "errors.log"
    limits = {"REQUEST_HEAD_SECONDS": "0.3", "REQUEST_BODY_SECONDS": "0.3", "REQUEST_MOST_BYTES": "100000"}
    with serving(**limits, GUNICORN_CMD_ARGS=f"--error-logfile {log}") as server:
        too_large = b"POST /a/secret/ HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n"
        with closing(server.connect()) as silent:
            assert silent.recv(1) == b""
        statuses = []
        for sent in (HALF_HEAD, HALF_BODY, too_large):
            with closing(server.connect(sent)) as client:
                statuses.append(response(client)[0])
    lines = [line.rpartition("] ")[2] for line in log.read_text().splitlines() if "Refused" in line]
    assert statuses == [408, 408, 413]
    late, large = (f"Refused before it was read: {what}" for what in ("408 Request Timeout", "413 Content Too Large"))
    assert lines == [late, late, large], "a connection that says nothing has no line"


def test_bytes_that_trickle_in_do_not_extend_the_deadline(strict: Server) -> None:
    with strict.connect(HALF_HEAD) as client:
        client.settimeout(0.05)
        answer = b""

        def is_answered() -> bool:
            nonlocal answer
            try:
                client.sendall(b"x")
                answer = client.recv(4096)
            except TimeoutError:
                return False
            return True

        wait_until(is_answered)
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_a_client_that_does_not_read_is_cut_off(strict: Server) -> None:
    wait_until(lambda: strict.connection_count() == 0)
    with strict.connect(LARGE):
        wait_until(lambda: strict.connection_count() == 1)
        wait_until(lambda: strict.connection_count() == 0)


def test_a_client_that_read_fast_may_not_stand_still(strict: Server) -> None:
    wait_until(lambda: strict.connection_count() == 0)
    with strict.connect(LARGE) as client:
        read = 0
        while read < 4 * 2**20 and (piece := client.recv(2**20)):
            read += len(piece)
        assert read >= 4 * 2**20
        wait_until(lambda: strict.connection_count() == 0)


def test_of_many_clients_that_do_not_read_none_holds_a_thread(server: Server) -> None:
    wait_until(lambda: server.connection_count() == 0)
    with ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(server.connect(LARGE))
        wait_until(lambda: server.connection_count() == 1)  # half of the threads may wait for a reader
        assert_is_up(server)


def test_a_client_that_reads_gets_everything(server: Server) -> None:
    assert len(server.answer("/large")) == 24 * 2**20


@pytest.mark.parametrize(
    ("path", "kind"), [("/api/v1/annotators/x/votes", "application/json; charset=utf-8"), ("/page/", "text/plain")]
)
def test_a_body_that_is_too_large_is_refused_before_it_is_sent(strict: Server, path: str, kind: str) -> None:
    with strict.connect(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100001\r\n\r\n".encode()) as client:
        answer = HTTPResponse(client)
        answer.begin()
        body = answer.read().decode()
    assert (answer.status, str(answer.getheader("Content-Type")).startswith(kind)) == (413, True)
    assert "too large" in (json.loads(body)["message"] if "json" in kind else body)


def test_chunks_without_end_are_refused(strict: Server) -> None:
    chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
    with strict.connect(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + 4 * chunk) as client:
        assert response(client)[0] == 413


def test_large_requests_that_fill_the_memory_go_before_a_small_one() -> None:
    size = SHIPPED.most_held_bytes // 8 - 5
    head = f"POST /half HTTP/1.1\r\nHost: x\r\nContent-Length: {SHIPPED.most_body_bytes}\r\n\r\n".encode()
    small = b"POST /e HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    with serving() as server, ExitStack() as stack:
        large = [stack.enter_context(server.connect(head.ljust(size, b"x"))) for _ in range(8)]
        wait_until(server.has_read_everything)
        client = stack.enter_context(server.connect(small))
        received_until(client, b"HTTP/1.1 100 Continue\r\n\r\n")
        refused, _, _ = select.select(large, [], [], PATIENCE_SECONDS)
        assert [response(one)[0] for one in refused] == [503]
        client.sendall(b"\x01\x01")
        received_until(client, b"POST /e 2 2")


def test_a_head_that_is_too_large_is_refused(server: Server) -> None:
    with server.connect(b"GET / HTTP/1.1\r\n" + b"X-Field: 0123456789\r\n" * 4000) as client:
        assert response(client)[0] == 431


def test_what_breaks_the_rules_is_a_bad_request(server: Server) -> None:
    for wrong in (
        b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
    ):
        with server.connect(b"POST / HTTP/1.1\r\nHost: x\r\n" + wrong) as client:
            assert response(client)[0] == 400


@pytest.mark.parametrize(
    ("path", "kind"), [("/api/v1/annotators/x/votes", "application/json"), ("/page/", "text/plain")]
)
@pytest.mark.parametrize(
    ("beginning", "status"),
    [
        (b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n", 400),
        (b"POST %s HTTP/1.1\r\nHost: x\r\nSCRIPT_NAME: /x\r\n\r\n", 400),
        (b"POST %s HTTP/1.1\r\nHost: x\r\nExpect: nothing\r\n\r\n", 417),
        (b"POST %s?" + b"x" * 5000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"POST %s HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 200 + b"\r\n", 431),
    ],
)
def test_what_gunicorn_refuses_is_a_sentence_too(
    server: Server, beginning: bytes, status: int, path: str, kind: str
) -> None:
    with server.connect(beginning % path.encode()) as client:
        answer = HTTPResponse(client)
        answer.begin()
        body = answer.read().decode()
    assert (answer.status, answer.getheader("Content-Type")) == (status, f"{kind}; charset=utf-8")
    sentence = json.loads(body)["message"] if "json" in kind else body
    assert sentence in {"The request breaks the rules of HTTP, so it was not read.", TOO_LONG_A_HEAD[2]}


def test_a_request_gets_one_answer_also_if_its_unread_body_breaks_the_rules(server: Server) -> None:
    for wrong in (b"-1\r\na\r\n0\r\n\r\n", b"1\r\nab0\r\n\r\n", b"0x1\r\na\r\n0\r\n\r\n", b"\r\na\r\n0\r\n\r\n"):
        head = b"POST /unread HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        with server.connect(head + wrong) as client:
            assert b"".join(iter(lambda: client.recv(4096), b"")).count(b"HTTP/1.1 ") == 1, wrong


def test_a_connection_is_kept_and_requests_may_follow_each_other_at_once(server: Server) -> None:
    post = b"POST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n\x01\x02\x03"
    third = b"POST /3 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"2\r\n\x01\x02\r\n1\r\n\x04\r\n0\r\n\r\n"
    with server.connect(WHOLE + post + third + chunks) as client:
        assert received_until(client, b"POST /3 3 7").count(b"HTTP/1.1 200 OK") == 3
        client.sendall(WHOLE)
        received_until(client, b"GET /1 0 0")


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_connection_is_kept_after_a_large_body_that_nobody_reads(server: Server, is_chunked: bool) -> None:
    size = 3 * 2**20
    length, body = (
        (b"Transfer-Encoding: chunked", b"%x\r\n%s\r\n0\r\n\r\n" % (size, bytes(size)))
        if is_chunked
        else (b"Content-Length: %d" % size, bytes(size))
    )
    with server.connect() as client:
        for _ in range(3):
            client.sendall(b"POST /unread HTTP/1.1\r\nHost: x\r\n" + length + b"\r\n\r\n" + body)
            head = received_until(client, b"\r\n\r\n").lower()
            assert head.startswith(b"http/1.1 403 ")
            assert b"connection: close" not in head
        client.sendall(WHOLE)
        received_until(client, b"GET /1 0 0")


def test_a_body_of_many_small_chunks_is_refused_before_it_is_parsed(server: Server) -> None:
    head = b"POST /unread HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    for count, status in ((SHIPPED.most_chunks, 403), (SHIPPED.most_chunks + 1, 413)):
        with server.connect(head + b"1\r\nx\r\n" * count + b"0\r\n\r\n") as client:
            found, sentence = response(client)
            assert (found, b"too many small chunks" in sentence) == (status, status == 413)


def test_a_client_may_wait_to_be_told_to_send_its_body(server: Server) -> None:
    with server.connect(b"POST /e HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n") as client:
        received_until(client, b"HTTP/1.1 100 Continue\r\n\r\n")
        client.sendall(b"\x01\x01")
        assert received_until(client, b"POST /e 2 2").startswith(b"HTTP/1.1 200 OK")


def test_a_client_of_the_old_kind_is_answered_and_the_connection_closed(server: Server) -> None:
    with server.connect(b"GET /old HTTP/1.0\r\n\r\n") as client:
        assert response(client) == (200, b"GET /old 0 0")
        assert client.recv(1) == b""


@pytest.mark.parametrize("beginning", [b"GET", HALF_BODY])
def test_more_connections_than_there_is_room_for_leave_the_server_up(server: Server, beginning: bytes) -> None:
    with ExitStack() as stack:
        for _ in range(850):
            stack.enter_context(server.connect(beginning))
        assert_is_up(server)


def test_of_more_connections_than_there_is_room_for_those_that_wait_for_nothing_go_first() -> None:
    with serving(REQUEST_BODY_SECONDS="600") as server, server.connect(HALF_BODY) as slow, ExitStack() as stack:
        for _ in range(850):
            received_until(stack.enter_context(server.connect(WHOLE)), b"GET /1 0 0")
        slow.sendall(bytes(996))
        assert received_until(slow, b"POST /half 1000 %d" % sum(b"half")).startswith(b"HTTP/1.1 200 OK")


def test_a_server_that_stops_finishes_what_has_begun() -> None:
    head = b"POST /e HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    with serving() as server, server.connect() as idle, server.connect(head) as begun:
        received_until(begun, b"HTTP/1.1 100 Continue\r\n\r\n")
        server.process.terminate()
        assert idle.recv(1) == b""  # it is stopping
        begun.sendall(b"\x01\x01")
        received_until(begun, b"POST /e 2 2")
        begun.close()
        assert server.process.wait(timeout=PATIENCE_SECONDS) == 0
