"""Network addresses as the user may see them: without the password."""

from __future__ import annotations

import re

__all__ = ["is_address", "redact"]

SCHEMES = ("rtsp", "rtsps", "rtmp", "rtmps", "http", "https", "udp", "tcp", "srt", "rtp", "hls")
SECRET_KEYS = "password|passwd|pass|pwd|passphrase|token|access_token|auth|secret|key|api_key|apikey|sig|signature"

_SCHEME = re.compile(r"^([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_SECRET_FIELD = re.compile(rf"([?&;](?:{SECRET_KEYS})=)[^&;#]*", re.IGNORECASE)


def is_address(spec: str) -> bool:
    """Whether `spec` names a network stream rather than a file."""
    match = _SCHEME.match(spec)
    return match is not None and match.group(1).lower() in SCHEMES


def redact(address: str) -> str:
    """The address without user name, password or secret query fields, fit for names, logs and messages.

    A password may hold any character, also '@' and '/', unescaped: what counts is the last '@' before a host
    name. Where '/' stands in the password no rule can tell it from a path, so everything up to the last '@'
    before the query goes.
    """
    match = _SCHEME.match(address)
    if match is None:
        return address
    scheme, rest = match.group(0), address[match.end() :]
    head, query_mark, query = rest.partition("?")
    if "@" in query and "@" not in head.partition("/")[0]:  # the password itself holds a question mark
        head, query_mark, query = rest, "", ""
    if "@" in head:
        head = head.rpartition("@")[2]
    return _SECRET_FIELD.sub(r"\1***", scheme + head + query_mark + query)
