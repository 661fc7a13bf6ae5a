"""Why a stream does not open is told in its own words, with what to try."""

from __future__ import annotations

import errno
import socket

import pytest

from tests.video.cameras import RefusingServer, TricklingServer
from tracker.errors import SourceError, UnreachableError
from tracker.video import StreamSource
from tracker.video.refusal import NO_ANSWER
from tracker.video.stream_source import is_denied


def refusal_from(address: str) -> str:
    with pytest.raises(UnreachableError) as refusal:
        StreamSource(address)
    return str(refusal.value).removeprefix(f"{address}: it does not open ")


def http(status: str) -> bytes:
    return f"HTTP/1.0 {status}\r\nContent-Length: 0\r\n\r\n".encode()


def rtsp(status: str, more: str = "") -> bytes:
    return f"RTSP/1.0 {status}\r\nCSeq: NUMBER\r\n{more}\r\n".encode()


LIST = b"HTTP/1.0 200 OK\r\nContent-Type: application/vnd.apple.mpegurl\r\n\r\n#EXTM3U\n#EXT-X-TARGETDURATION:1\n"
REALM = 'WWW-Authenticate: Basic realm="camera"\r\n'


@pytest.mark.parametrize("scheme", ["http", "https", "rtsp", "rtmp", "tcp"])
def test_a_host_that_nobody_knows_is_called_that(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    """FFmpeg calls it an input/output error."""
    monkeypatch.delenv("http_proxy", raising=False)
    said = refusal_from(f"{scheme}://camera.invalid:99/x")
    assert said == "(unknown host camera.invalid). Check the spelling of the host, and the network."


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("hls://camera/x", "(the FFmpeg of this program has no HLS). It begins with http:// or https://."),
        ("http://", "(it names no host). Check the spelling of the address."),
        ("http://[zz]/x", "(it names no host). Check the spelling of the address."),
    ],
)
def test_what_no_address_can_be_is_told_and_not_waited_for(address: str, said: str) -> None:
    with pytest.raises(SourceError) as refusal:
        StreamSource(address)
    assert str(refusal.value) == f"{address}: it does not open {said}"
    assert not isinstance(refusal.value, UnreachableError)


def test_where_no_name_server_answers_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(*_: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.delenv("http_proxy", raising=False)
    monkeypatch.setattr(socket, "getaddrinfo", ask)
    assert refusal_from("rtsp://camera.invalid/x").startswith("(no name server says where camera.invalid is)")


@pytest.mark.parametrize("scheme", ["http", "https", "rtsp", "rtmp", "tcp"])
def test_where_nothing_listens_the_port_is_to_be_checked(scheme: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"{scheme}://127.0.0.1:{free.getsockname()[1]}/x"
        assert refusal_from(address).startswith("(Connection refused). Nothing listens at that port")


@pytest.mark.parametrize(
    ("scheme", "answer", "said"),
    [
        ("http", http("401 Unauthorized"), "(Server returned 401 Unauthorized (authorization failed)). Check user and"),
        ("http", http("403 Forbidden"), "(Server returned 403 Forbidden (access denied)). Check user and password"),
        ("http", http("404 Not Found"), "(Server returned 404 Not Found). The server runs; check the path"),
        ("http", http("410 Gone"), "(the server refuses with an error 4xx). Check the address"),
        ("http", http("503 Busy"), "(the server reports an error of its own, 5xx). See what is wrong with the camera"),
        ("rtsp", rtsp("401 Unauthorized", REALM), "(Server returned 401 Unauthorized (authorization failed))."),
        ("rtsp", rtsp("403 Forbidden"), "(Server returned 403 Forbidden (access denied)). Check user and password"),
        ("rtsp", rtsp("404 Not Found"), "(Server returned 404 Not Found). The server runs; check the path"),
        ("rtsp", rtsp("500 Broken"), "(the server reports an error of its own, 5xx). See what is wrong"),
        ("rtsp", b"hello\r\n\r\n", "(what comes is no video). Check the address"),
        ("http", b"hello\r\n\r\n", "(it breaks off, or speaks another protocol). Check the protocol and port"),
        ("http", b"", "(it hangs up without an answer). Check the protocol and port"),
        ("https", http("200 OK"), "(no encrypted connection comes about). Check the port, and whether it is http://."),
        ("rtsps", rtsp("200 OK"), "(no encrypted connection comes about). Check the port, and whether it is rtsp://."),
    ],
)
def test_what_a_server_refuses_with_is_told_with_what_to_try(scheme: str, answer: bytes, said: str) -> None:
    with RefusingServer(scheme, answer, again=scheme == "rtsp" and bool(b"CSeq" in answer)) as server:
        assert refusal_from(server.address).startswith(said)


@pytest.mark.parametrize(
    ("scheme", "path", "answer", "drops"),
    [
        ("http", "/video", b"HTTP/1.0 200 OK\r\n", b"X-Slow: .\r\n"),
        ("http", "/list.m3u8", LIST, b"#EXTINF:1.0,\n0.ts\n"),
        ("https", "/video", b"\x16\x03\x03\x40\x00", b"."),
        ("rtsp", "/stream", b"RTSP/1.0 200 OK\r\n", b"X-Slow: .\r\n"),
    ],
)
def test_an_answer_that_comes_byte_by_byte_is_waited_for_no_longer_than_others(
    scheme: str, path: str, answer: bytes, drops: bytes
) -> None:
    with (
        TricklingServer(scheme, path, answer, drops) as server,
        pytest.raises(UnreachableError, match=r"no answer (in time|within)"),
    ):
        StreamSource(server.address, open_timeout_s=2.0)


def test_a_proxy_that_answers_byte_by_byte_is_waited_for_no_longer_than_others(monkeypatch: pytest.MonkeyPatch) -> None:
    with TricklingServer("http", "", b"HTTP/1.0 200 OK\r\n", b"X-Slow: .\r\n") as proxy:
        monkeypatch.setenv("http_proxy", proxy.address)
        monkeypatch.delenv("no_proxy", raising=False)
        with pytest.raises(UnreachableError, match=r"no answer (in time|within)"):
            StreamSource("https://camera.invalid/video", open_timeout_s=2.0)
        assert proxy.clients == 1


def test_an_address_that_nobody_can_mean_is_not_tried_again() -> None:
    with pytest.raises(SourceError, match=r"Invalid argument\)\. Check the spelling") as refusal:
        StreamSource("http://127.0.0.1:99999/x")
    assert not isinstance(refusal.value, UnreachableError)


def test_a_host_whose_name_has_a_number_is_not_taken_for_a_refused_password() -> None:
    assert is_denied("it does not open (Server returned 401 Unauthorized (authorization failed))")
    assert not is_denied("it does not open (unknown host camera401)")
    assert not is_denied(f"it does not open ({NO_ANSWER.reason})")


def test_a_password_is_not_in_what_is_said_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("http_proxy", raising=False)
    with pytest.raises(UnreachableError) as refusal:
        StreamSource("rtsp://me:p@ss/w0rd@camera.invalid/x")
    assert "unknown host camera.invalid" in str(refusal.value)
    assert "w0rd" not in str(refusal.value)


def test_a_network_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from tracker.video import refusal

    error = OSError(errno.ENETUNREACH, "Network is unreachable")
    assert refusal.refusal_of(error, "rtsp://192.0.2.1/x").advice == "Check the network, and the host in the address."
