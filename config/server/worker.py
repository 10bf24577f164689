"""The worker: an event loop reads complete requests, gunicorn's threads answer them, the loop sends the responses."""

import errno
import selectors
import socket
import time
from concurrent.futures import Future
from contextlib import suppress
from enum import Enum, auto
from functools import partial
from typing import Any

from gunicorn.workers.gthread import STOP_KEEPALIVE_LINGER, TConn, ThreadWorker

from config.server.buffered_socket import BufferedSocket, Readers
from config.server.framing import Framing
from config.server.limits import (
    FULL,
    TOO_LARGE,
    TOO_LATE,
    TOO_LONG_A_HEAD,
    TOO_MANY_CHUNKS,
    FaultPage,
    Limits,
    Refusal,
    limits_from_environment,
    response,
)

RECEIVE_BYTES = 64 * 2**10
SWEEP_SECONDS = 0.5


class Stage(Enum):
    """What a connection is doing. It has a deadline in each stage, after which it is closed."""

    IDLE = auto()  # nothing of a request has arrived
    READING = auto()
    WORKING = auto()  # a thread has it
    SENDING = auto()  # the thread is done, the client is still reading
    ENDING = auto()  # everything is sent; the client may close
    CLOSED = auto()


class Connection(TConn):  # type: ignore[misc]  # gunicorn has no types
    """A client's connection: `own` is its socket, `sock` the stand-in for gunicorn's threads."""

    def __init__(self, worker: "BufferingWorker", own: socket.socket, client: Any, server: Any) -> None:
        limits = worker.limits
        buffered = BufferedSocket(
            own,
            limits=limits,
            readers=worker.readers,
            ask_to_flush=lambda: worker.method_queue.defer(worker.send_what_waits, self),
        )
        super().__init__(worker.cfg, buffered, client, server)
        self.data_ready = True
        self.own, self.stage, self.watched = own, Stage.IDLE, 0
        self.received, self.framing, self.is_kept = bytearray(), Framing(), False
        self.deadline = time.monotonic() + limits.head_seconds

    @property
    def is_kept_idle(self) -> bool:
        """Whether its request was answered and no other has started."""
        return self.is_kept and self.stage == Stage.IDLE


class BufferingWorker(ThreadWorker):  # type: ignore[misc]
    """gunicorn's gthread, but a thread gets a complete request and is free as soon as its response is made."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.limits: Limits = limits_from_environment()
        self.readers = Readers(max(1, self.cfg.threads // 2))
        self.connections: set[Connection] = set()
        self.held_bytes, self.next_sweep = 0, 0.0

    # --- requests ---------------------------------------------------------------------------------
    def accept(self, listener: socket.socket) -> None:
        """Accept a new connection; if too many are open, close another one first (`_make_room`)."""
        try:
            own, client = listener.accept()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                self._make_room()
            elif error.errno not in (errno.EAGAIN, errno.ECONNABORTED, errno.EWOULDBLOCK):
                raise
            return
        own.setblocking(False)
        if self.nr_conns >= self.worker_connections - 1:  # at the limit itself gunicorn accepts none
            self._make_room()  # before the new one counts: it may have the nearest deadline
        connection = Connection(self, own, client, listener.getsockname())
        self.connections.add(connection)
        self.nr_conns += 1
        self._receive(connection)

    def _make_room(self) -> None:
        """Close one connection: an idle one, which loses no request, else the one with the nearest deadline."""
        without_a_thread = [one for one in self.connections if one.stage != Stage.WORKING]
        if without_a_thread:
            self._close(min(without_a_thread, key=lambda one: (not one.is_kept_idle, self._deadline(one))))

    def _receive(self, connection: Connection, _own: object = None) -> None:
        try:
            data = connection.own.recv(RECEIVE_BYTES)
        except BlockingIOError:
            self._watch(connection, selectors.EVENT_READ)
            return
        except OSError:
            data = b""
        if not data:
            self._close(connection)
        elif connection.stage != Stage.ENDING:
            connection.received += data
            self.held_bytes += len(data)
            if connection.stage == Stage.READING and connection.framing.head_size:
                longer = connection.deadline + len(data) / self.limits.slowest_rate
                connection.deadline = min(longer, time.monotonic() + self.limits.body_seconds)
            self._look(connection)
            if self.held_bytes > self.limits.most_held_bytes:
                self._refuse_the_largest()

    def _refuse_the_largest(self) -> None:
        """Refuse the largest request when the memory is full, because a vote has only some hundred bytes."""
        readers = [one for one in self.connections if one.stage == Stage.READING]
        if readers:
            self._refuse(max(readers, key=lambda one: len(one.received)), FULL)

    def _look(self, connection: Connection) -> None:
        """Hand a complete request to a thread, refuse one that is too large, or wait for the rest."""
        if connection.stage == Stage.IDLE:
            connection.stage, connection.deadline = Stage.READING, time.monotonic() + self.limits.head_seconds
        had_head, framing = connection.framing.head_size, connection.framing
        is_whole = framing.look(connection.received)
        if refusal := self._refusal(connection):
            self._refuse(connection, refusal)
        elif is_whole:
            self._hand_over(connection)
        else:
            if framing.head_size and not had_head:
                self._begin_body(connection)
            self._watch(connection, selectors.EVENT_READ)

    def _refusal(self, connection: Connection) -> Refusal | None:
        framing, limits = connection.framing, self.limits
        if (framing.head_size or len(connection.received)) > limits.most_head_bytes:
            return TOO_LONG_A_HEAD
        if framing.size - framing.head_size > limits.most_body_bytes:
            return TOO_LARGE
        return TOO_MANY_CHUNKS if framing.chunk_count > limits.most_chunks else None

    def _begin_body(self, connection: Connection) -> None:
        connection.deadline = time.monotonic() + self.limits.body_seconds
        if connection.framing.expects_continue:
            with suppress(OSError):  # the next read detects a client that is gone
                connection.own.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _hand_over(self, connection: Connection) -> None:
        size = connection.framing.size
        connection.sock.give(bytes(memoryview(connection.received)[:size]))
        del connection.received[:size]
        self.held_bytes -= size
        connection.stage, connection.framing = Stage.WORKING, Framing()
        self._watch(connection, 0)
        self.enqueue_req(connection)

    def handle_request(self, req: Any, conn: Connection) -> Any:
        """Answer a request. `100 Continue` was already sent, so gunicorn must not send it."""
        req._expected_100_continue = False
        return super().handle_request(req, conn)

    def _keepalive_after(self, conn: Connection, keepalive: bool) -> bool:
        """Drop an unread body, which is in memory: gunicorn drops 64 KiB, then closes a connection called kept."""
        return keepalive and conn.parser.finish_body()

    def handle_error(self, req: Any, client: BufferedSocket, addr: Any, exc: Exception) -> None:
        """Log the fault, and answer it unless the request has a response: a second one would answer the next request.

        The application may respond before it reads a body, and the body may turn out to be invalid only then.
        """
        page = FaultPage()
        super().handle_error(req, page, addr, exc)
        with suppress(OSError):  # a client that is gone
            if not client.has_answered:
                client.sendall(response(page.refusal, is_for_a_program=client.is_of_a_program))

    # --- responses --------------------------------------------------------------------------------
    def finish_request(self, conn: Connection, fs: "Future[Any]") -> None:
        """Send the bytes that the finished thread left, then keep the connection or end it."""
        is_kept = not fs.cancelled() and fs.exception() is None and bool(fs.result())
        conn.is_kept = is_kept and not conn.parser.unreader.buf.getvalue()
        self._send_rest(conn)

    def send_what_waits(self, connection: Connection) -> None:
        """Start to send the bytes that a thread left."""
        if connection.stage in (Stage.WORKING, Stage.SENDING) and connection.sock.has_waiting():
            self._watch(connection, selectors.EVENT_WRITE)

    def _send_rest(self, connection: Connection) -> None:
        connection.stage = Stage.SENDING
        if connection.sock.has_waiting():
            self._watch(connection, selectors.EVENT_WRITE)
        else:
            self._after_answer(connection)

    def _after_answer(self, connection: Connection) -> None:
        if connection.sock.is_broken:
            self._close(connection)
        elif connection.is_kept:
            connection.stage, connection.deadline = Stage.IDLE, time.monotonic() + self.limits.idle_seconds
            if connection.received:
                self._look(connection)
            else:
                self._watch(connection, selectors.EVENT_READ)
        else:
            self._end(connection)

    def _end(self, connection: Connection) -> None:
        """Close the sending side and let the client read: closed at once, it might lose the response."""
        connection.stage, connection.deadline = Stage.ENDING, time.monotonic() + self.limits.linger_seconds
        self._forget_received(connection)
        try:
            connection.own.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(connection)
        else:
            self._watch(connection, selectors.EVENT_READ)

    def _refuse(self, connection: Connection, refusal: Refusal) -> None:
        first_line = bytes(connection.received[:2000]).partition(b"\r\n")[0]
        if first_line:  # browsers open connections ahead, and send nothing
            self.log.warning("Refused before it was read: %s %s", *refusal[:2])
        self._watch(connection, 0)
        self._forget_received(connection)
        connection.is_kept = False
        connection.sock.sendall(response(refusal, is_for_a_program=b" /api/" in first_line))
        self._send_rest(connection)

    # --- the loop ---------------------------------------------------------------------------------
    def _watch(self, connection: Connection, events: int) -> None:
        if events == connection.watched:
            return
        if not events:
            self.poller.unregister(connection.own)
        elif connection.watched:
            self.poller.modify(connection.own, events, partial(self._ready, connection))
        else:
            self.poller.register(connection.own, events, partial(self._ready, connection))
        connection.watched = events

    def _ready(self, connection: Connection, _own: object) -> None:
        if connection.watched == selectors.EVENT_READ:
            self._receive(connection)
        elif connection.watched == selectors.EVENT_WRITE and connection.sock.flush():
            self._watch(connection, 0)
            if connection.stage == Stage.SENDING:
                self._after_answer(connection)

    def murder_pending(self) -> None:
        """Close connections past their deadline: gunicorn's loop calls this after every round, also while it stops."""
        now = time.monotonic()
        if now < self.next_sweep:
            return
        self.next_sweep = now + SWEEP_SECONDS
        for connection in tuple(self.connections):
            if not self.alive and connection.stage == Stage.IDLE:
                connection.deadline = min(connection.deadline, now + STOP_KEEPALIVE_LINGER)
            if now > self._deadline(connection):
                self._give_up(connection)

    def _deadline(self, connection: Connection) -> float:
        if connection.stage in (Stage.WORKING, Stage.SENDING):
            deadline: float = connection.sock.deadline
            return deadline
        return connection.deadline

    def _give_up(self, connection: Connection) -> None:
        if connection.stage == Stage.READING:
            self._refuse(connection, TOO_LATE)
        elif connection.stage == Stage.WORKING:
            connection.sock.break_off()
        else:
            self._close(connection)

    def _close(self, connection: Connection) -> None:
        self._watch(connection, 0)
        self._forget_received(connection)
        connection.stage = Stage.CLOSED
        connection.own.close()
        self.connections.discard(connection)
        self.nr_conns -= 1

    def _forget_received(self, connection: Connection) -> None:
        self.held_bytes -= len(connection.received)
        connection.received.clear()
