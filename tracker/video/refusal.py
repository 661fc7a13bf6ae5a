"""Why a network stream does not open, in words for its user, and what to try."""

from __future__ import annotations

import errno
import os
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

import av

from tracker.video.address import redact

__all__ = ["GENERAL_ADVICE", "NO_ANSWER", "Refusal", "refusal_of"]

GENERAL_ADVICE = "Check the address, user and password, and that the server runs and can be reached."
ENCRYPTED = ("https", "rtsps", "rtmps")
PROXIED = ("http", "https")
UNREACHABLE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN)
NEVER_WILL = (av.error.OptionNotFoundError, av.error.ArgumentError)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why it does not open, without the address; what to try; and whether waiting cannot mend it."""

    reason: str
    advice: str = GENERAL_ADVICE
    never: bool = False


NO_HOST = Refusal("it names no host", "Check the spelling of the address.", never=True)
NO_ANSWER = Refusal("no answer in time", "Check the address, and that the server runs and can be reached.")


def refusal_of(error: Exception, address: str) -> Refusal:
    """What an error of FFmpeg means that came while `address` was opened. May look up the name of its host."""
    said = getattr(error, "strerror", None) or type(error).__name__
    number = getattr(error, "errno", None)
    if isinstance(error, av.error.ExitError | TimeoutError):
        return NO_ANSWER
    if isinstance(error, av.error.ProtocolNotFoundError):
        scheme = address.partition(":")[0].lower()
        advice = "It begins with http:// or https://." if scheme == "hls" else "Use the camera's RTSP or HTTP address."
        return Refusal(f"the FFmpeg of this program has no {scheme.upper()}", advice, never=True)
    if isinstance(error, NEVER_WILL):
        return Refusal(said, "Check the spelling of the address.", never=True)
    if isinstance(error, ConnectionRefusedError):
        if not _host_of(address):
            return NO_HOST
        return Refusal(said, "Nothing listens at that port: check it, and that the camera or server runs.")
    if number in UNREACHABLE:
        return Refusal(said, "Check the network, and the host in the address.")
    if isinstance(error, av.error.HTTPUnauthorizedError | av.error.HTTPForbiddenError):
        return Refusal(said, "Check user and password, and what that user may see.")
    if isinstance(error, av.error.HTTPNotFoundError):
        return Refusal(said, "The server runs; check the path, what stands behind the host in the address.")
    if isinstance(error, av.error.HTTPOtherClientError):
        return Refusal("the server refuses with an error 4xx", "Check the address, and what the server's log says.")
    if isinstance(error, av.error.HTTPServerError):
        return Refusal("the server reports an error of its own, 5xx", "See what is wrong with the camera or server.")
    if isinstance(error, av.InvalidDataError):
        return Refusal(
            "what comes is no video", "Check the address: it may be that of a page, or the protocol another."
        )
    if isinstance(error, av.EOFError):
        return Refusal("it hangs up without an answer", "Check the protocol and port of the address.")
    if number == errno.EIO:
        return _unnamed(address)
    return Refusal(said)


def _unnamed(address: str) -> Refusal:
    """What FFmpeg calls an input/output error: it gives no reason for any of these."""
    scheme = address.partition(":")[0].lower()
    host = _host_of(address)
    if not host:
        return NO_HOST
    try:
        if not (scheme in PROXIED and os.environ.get("http_proxy")):
            socket.getaddrinfo(host, None)
    except (OSError, ValueError) as error:  # ValueError: no host can be called that
        if getattr(error, "errno", None) == socket.EAI_AGAIN:
            return Refusal(f"no name server says where {host} is", "Check the network, and the host in the address.")
        return Refusal(f"unknown host {host}", "Check the spelling of the host, and the network.")
    if scheme in ENCRYPTED:
        return Refusal(
            "no encrypted connection comes about", f"Check the port, and whether it is {scheme.removesuffix('s')}://."
        )
    return Refusal("it breaks off, or speaks another protocol", "Check the protocol and port of the address.")


def _host_of(address: str) -> str | None:
    """Whom the address names; None where that is nobody, or written as nobody can be."""
    try:
        return urlsplit(redact(address)).hostname
    except ValueError:
        return None
