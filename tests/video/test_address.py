"""No password comes out of `redact`, whatever characters it holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.video import redact
from tracker.video.address import holds_account, is_address, redact_path, redact_within

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


@pytest.mark.parametrize(
    "key",
    ["token", "password", "PWD", "sessionid", "pw", "jwt", "auth_token", "X-Amz-Signature", "streamid", "u"],
)
def test_fields_of_unknown_meaning_are_blotted_out(key: str) -> None:
    shown = redact(f"http://host/live.m3u8?quality=hd&{key}=s3cret&channel=1")
    assert shown == f"http://host/live.m3u8?quality=hd&{key}=***&channel=1"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://host/a#access_token=s3cret", "http://host/a#***"),
        ("rtmp://host/app/abcd-efgh-ijkl", "rtmp://host/app/***"),
        ("rtmp://host/bcs/channel0_main.bcs?channel=0", "rtmp://host/bcs/channel0_main.bcs?channel=0"),
        ("srt://host:9000?streamid=#!::r=live,u=me,s=s3cret", "srt://host:9000?streamid=#***"),
        (
            "rtsp://host/user=me&password=s3cret&channel=1&stream=0.sdp",
            "rtsp://host/user=***&password=***&channel=1&stream=0.sdp",
        ),
        ("http://host/live/0f3a9c7be2d14455a1b2c3d4e5f60718/index.m3u8", "http://host/live/***/index.m3u8"),
        ("http://host/eyJhbGciOi.eyJzdWIiOiIx.SflKxwRJSMeKK/x", "http://host/***/x"),
        ("http://host/video?s3cret", "http://host/video?***"),
        ("http://host/video?quality=eyJhbGciOiJIUzI1NiIsInR5cCI6", "http://host/video?quality=***"),
    ],
)
def test_secrets_elsewhere_are_blotted_out(address: str, shown: str) -> None:
    assert redact(address) == shown


def test_addresses_within_a_message_are_redacted_also_as_paths() -> None:
    for address in ("rtsp://me:s3cret@host/x", "rtsp:/me:s3cret@host/x"):
        assert redact_within(f"{address}: no such file; try '{address}'.") == (
            "rtsp://host/x: no such file; try 'rtsp://host/x'."
        )
    assert redact_within("/a/b.mp4: no such file") == "/a/b.mp4: no such file"
    assert redact_within("'rstp://me:s3cret@gate/live' is no file") == "'rstp://gate/live' is no file"
    assert redact_within("/home/x/htp:/me:s3cret@gate/live: no") == "/home/x/htp://gate/live: no"
    assert redact_within("C:/videos/a@b.mp4") == "C:/videos/a@b.mp4"


@pytest.mark.parametrize(
    ("spec", "shown"),
    [
        ("admin:s3cret@192.168.1.20/stream1", "***@192.168.1.20/stream1"),
        ("admin:s3:cr@et@gate.local", "***@gate.local"),
        ("//admin:s3cret@gate/live", "//***@gate/live"),
        ("rtsp:admin:s3cret@gate/live", "***@gate/live"),
        ("rtsp//admin:s3cret@gate/live", "rtsp//***@gate/live"),
        ("rtsp ://admin:s3cret@gate/live", "rtsp ://***@gate/live"),
        ("rtsp:\\\\admin:s3cret@gate\\live", "rtsp:\\\\***@gate\\live"),
    ],
)
def test_a_password_is_left_out_where_the_protocol_is_missing_or_broken(spec: str, shown: str) -> None:
    assert holds_account(spec)
    assert redact_within(f"{spec}: no such file; try '{spec}'.") == f"{shown}: no such file; try '{shown}'."


@pytest.mark.parametrize("spec", ["C:/videos/a@b.mp4", "a@b.mp4", "12:30.mp4", "D:\\x@y\\a.mp4", "/a/b.mp4: at 3 @ 4"])
def test_names_of_files_hold_no_account(spec: str) -> None:
    assert not holds_account(spec)
    assert redact_within(f"{spec}: no such file") == f"{spec}: no such file"


def test_of_a_webhook_the_host_alone_is_shown() -> None:
    """Its path is what opens it."""
    assert redact_path("https://hooks.slack.example/services/T0/B0/abcdef") == "https://hooks.slack.example/***"
    assert redact_path("https://api.telegram.example/bot123456:ABC-x/sendMessage?chat_id=1") == (
        "https://api.telegram.example/***"
    )
    assert redact_path("http://me:s3cret@127.0.0.1:8080/") == "http://127.0.0.1:8080/"
    assert redact_path("hooks.slack.example/services/T0") == "hooks.slack.example/***"


@pytest.mark.parametrize(
    "address",
    [
        "rtsp://host/path",
        "http://host:80/a?channel=2&fps=10",
        "rtsp://host:554/cam/realmonitor?channel=1&subtype=0",
        "rtsp://host/Streaming/Channels/101",
        "http://host/2026-11-28-front-door.mp4",
        "udp://@239.0.0.1:1234",
        "video.mp4",
        "C:\\film.mp4",
        "a@b.mp4",
        "",
    ],
)
def test_what_holds_no_secret_stays(address: str) -> None:
    assert redact(address) == address.replace("@239", "239")


def test_addresses_are_told_from_files() -> None:
    for address in ("rtsp://x", "RTSP://x", "http://x/a.mp4", "udp://@1.2.3.4:5", "srt://x:1"):
        assert is_address(address)
    for spec in ("0", "a.mp4", "C:/a.mp4", "file:///a.mp4", "folder/*.jpg", "USB Camera"):
        assert not is_address(spec)
