"""Where a request ends, however its bytes arrive."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.server.framing import MOST_LINE_BYTES, Framing

HEAD = b"POST /a HTTP/1.1\r\nHost: x\r\n"
CHUNKS = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
WHOLE = {
    "no body": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "a length": HEAD + b"content-LENGTH:5\r\n\r\nabcde",
    "an empty body": HEAD + b"Content-Length: 0\r\n\r\n",
    "chunks": CHUNKS + b"5\r\nabcde\r\nA;name=value\r\n0123456789\r\n0\r\n\r\n",
    "trailers": CHUNKS + b"1\r\na\r\n0\r\nTime: 3\r\nOther: 4\r\n\r\n",
    "a body like a head": HEAD + b"Content-Length: 8\r\n\r\n\r\n\r\n\r\n\r\n",
}


@given(st.sampled_from(sorted(WHOLE)), st.lists(st.integers(1, 200), max_size=8), st.binary(max_size=9))
def test_a_request_ends_where_it_ends(name: str, cuts: list[int], following: bytes) -> None:
    request, framing, buffer = WHOLE[name], Framing(), bytearray()
    data, seen = request + following, 0
    for end in [*sorted(cut for cut in cuts if cut < len(data)), len(data)]:
        buffer += data[seen:end]
        seen = end
        assert framing.look(buffer) is (end >= len(request))
    assert framing.size == len(request)


@pytest.mark.parametrize(
    "body",
    [b"-5\r\nabcde", b"xyz\r\n", b"1_0\r\n", b"\r\n", b"5" * (MOST_LINE_BYTES + 1), b"0\r\n" + b"a" * 2**16],
    ids=["negative", "no number", "underscore", "empty", "a line without an end", "trailers without an end"],
)
def test_chunks_that_break_the_rules_are_left_to_gunicorn_at_once(body: bytes) -> None:
    assert Framing().look(bytearray(CHUNKS + body))


def test_a_head_without_an_end_is_read_once() -> None:
    framing, buffer = Framing(), bytearray()
    for _ in range(100):
        buffer += b"a"
        assert not framing.look(buffer)
    assert framing._at == 97
