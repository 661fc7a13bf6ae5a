"""No password comes out of `redact`, whatever characters it holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.video import redact
from tracker.video.address import is_address

HOST = "camera7.example:8554/stream/1"


@pytest.mark.parametrize("scheme", ["rtsp", "http", "https", "rtmp", "RTSP", "srt"])
@pytest.mark.parametrize(
    "password",
    [
        "hunter2",
        "p@ss",
        "a:b",
        "p@ss:w@rd",
        "sl/ash",
        "a@b/c@d",
        "que?stion",
        "ha#sh",
        "%40enc",
        "sp ace",
        "ü@ß",
        "a?b@c/d",
    ],
)
def test_user_and_password_are_left_out(scheme: str, password: str) -> None:
    shown = redact(f"{scheme}://admin:{password}@{HOST}")
    assert shown == f"{scheme}://{HOST}"


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=4))
def test_no_password_is_ever_shown(password: str) -> None:
    secret = f"<{password}>"
    assert secret not in redact(f"rtsp://admin:{secret}@{HOST}")
    assert redact(f"rtsp://admin:{secret}@{HOST}") == f"rtsp://{HOST}"


@pytest.mark.parametrize("key", ["token", "password", "access_token", "PWD", "key", "signature"])
def test_secret_query_fields_are_blotted_out(key: str) -> None:
    shown = redact(f"http://host/live.m3u8?quality=hd&{key}=s3cret&x=1")
    assert shown == f"http://host/live.m3u8?quality=hd&{key}=***&x=1"


@pytest.mark.parametrize(
    "address",
    ["rtsp://host/path", "http://host:80/a?b=c", "udp://@239.0.0.1:1234", "video.mp4", "C:\\film.mp4", "a@b.mp4", ""],
)
def test_what_holds_no_secret_stays(address: str) -> None:
    assert redact(address) == address.replace("@239", "239")


def test_addresses_are_told_from_files() -> None:
    for address in ("rtsp://x", "RTSP://x", "http://x/a.mp4", "udp://@1.2.3.4:5", "srt://x:1"):
        assert is_address(address)
    for spec in ("0", "a.mp4", "C:/a.mp4", "file:///a.mp4", "folder/*.jpg", "USB Camera"):
        assert not is_address(spec)
