"""Network addresses as the user may see them: without the password."""

from __future__ import annotations

import re

__all__ = ["holds_account", "is_address", "redact", "redact_path", "redact_within"]

SCHEMES = ("rtsp", "rtsps", "rtmp", "rtmps", "http", "https", "udp", "tcp", "srt", "rtp", "hls")
HARMLESS_NAMES = """
    action audio bitrate bufsize cam camera channel codec compression container ext format fps framerate height lang
    latency media mode pkt_size profile protocol proto quality rate resolution size source stream streamtype subtype
    transport ttl type unicast video videocodec width
"""
HARMLESS_FIELDS = frozenset(HARMLESS_NAMES.split())
"""Fields whose values are shown; of all others nobody knows what they open."""
LONGEST_VALUE = 24

_SCHEME = re.compile(r"^([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
_FIELD = re.compile(r"(?<=[/?&;,])([^=/?&;,#]+)=([^/&;,#]*)")
_KEY = r"(?=[^/?]*\d)(?=[^/?]*[A-Za-z])[A-Za-z0-9_-]{20,}={0,2}"
_JWT = r"[\w-]+\.[\w-]{10,}\.[\w-]{10,}"
_TOKEN = re.compile(rf"(?<=/)(?:{_KEY}|{_JWT})(?=[/?]|$)")
_STREAM_KEY = re.compile(r"^([^/?]*/[^/?]+)/(?![^?]*\.[a-z0-9]{2,4}(?:\?|$))[^?*]{9,}")
"""In RTMP what stands behind the application's name is the key of a stream; not where it is short, or names a file."""
_WITHIN = re.compile(rf"\b(?:(?:{'|'.join(SCHEMES)}):/+\S+|[a-z][a-z0-9+.-]+:/+[^\s@]*@\S+)", re.IGNORECASE)
"""An address of a known protocol, or of any where a user stands in it: the protocol may be misspelt."""
_ACCOUNT = re.compile(r"""(?<![^\s'"<>(\[=,/\\:])[^\s'"<>(\[=,/\\:@]{2,}:(?![/\\])\S*@(?=[\w\[])""")
"""A user and a password before a host, where the protocol is missing or broken; not a drive and a path."""
STARS = "***"


def is_address(spec: str) -> bool:
    """Whether `spec` names a network stream rather than a file."""
    match = _SCHEME.match(spec)
    return match is not None and match.group(1).lower() in SCHEMES


def redact(address: str) -> str:
    """The address without user name, password, tokens and fields of unknown meaning, fit for names and messages.

    A password may hold any character, also '@' and '/', unescaped: what counts is the last '@' before a host
    name. Where '/' stands in the password no rule can tell it from a path, so everything up to the last '@'
    before the query goes. Fields like `channel=1` stay, in the query and in the path; others become `key=***`.
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
    whole, fragment_mark, fragment = (head + query_mark + query).partition("#")
    shown = _FIELD.sub(_harmless_or_stars, whole)
    if query_mark and "=" not in shown.partition("?")[2]:  # a bare value is a key as often as not
        shown = shown.partition("?")[0] + (f"?{STARS}" if query else "")
    shown = _TOKEN.sub(STARS, shown)
    if scheme.lower().startswith("rtmp"):
        shown = _STREAM_KEY.sub(rf"\1/{STARS}", shown)
    return scheme + shown + (f"{fragment_mark}{STARS}" if fragment else "")


def redact_path(address: str) -> str:
    """The address without its path too, which of a webhook is the secret."""
    scheme, mark, rest = redact(address).rpartition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{mark}{host}{slash}{STARS if path else ''}"


def holds_account(spec: str) -> bool:
    """Whether a user and a password stand in what is no address, since its protocol is missing or broken."""
    return not is_address(spec) and _ACCOUNT.search(spec) is not None


def redact_within(text: str) -> str:
    """The text with every address in it redacted, also one that passed for a path and lost a slash or its protocol."""

    def shown(match: re.Match[str]) -> str:
        found = match.group(0)
        address = found.rstrip(".,:;'\")")
        scheme, _, rest = address.partition(":")
        return redact(f"{scheme}://{rest.lstrip('/')}") + found[len(address) :]

    return _ACCOUNT.sub(f"{STARS}@", _WITHIN.sub(shown, text))


def _harmless_or_stars(field: re.Match[str]) -> str:
    key, value = field.groups()
    harmless = key.lower() in HARMLESS_FIELDS and len(value) <= LONGEST_VALUE
    return field.group(0) if harmless or not value else f"{key}={STARS}"
