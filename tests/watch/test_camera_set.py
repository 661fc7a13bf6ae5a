"""A set of cameras as people write it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tracker.errors import ConfigError
from tracker.watch.camera_set import CameraConfig, address_of, in_span, read_cameras

CAMERA = '[[camera]]\nname = "gate"\naddress = "rtsp://host/x"\n'


def written(folder: Path, text: str) -> Path:
    path = folder / "cameras.toml"
    path.write_text(text)
    return path


def test_a_set_is_read_and_its_folder_is_beside_it(tmp_path: Path) -> None:
    rules = '[camera.rules]\n[[camera.rules.zone]]\nname = "door"\npolygon = [[0, 0], [9, 0], [9, 9]]\n'
    alert = '[[alert]]\nwebhook = "http://127.0.0.1:1/"\ncameras = ["gate"]\n'
    found = read_cameras(written(tmp_path, f'folder = "kept"\n[retention]\ndays = 7\n{CAMERA}{rules}{alert}'))
    assert found.folder == tmp_path / "kept"
    assert found.camera[0].rules.zone[0].name == "door"
    assert found.alert[0].cameras == ("gate",)
    assert found.retention.days == 7


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no \\[\\[camera"),
        (CAMERA.replace("host", "me:s3cret@host"), "leave the password out; set SIGHTLINE_PASSWORD_GATE"),
        (CAMERA + CAMERA, "two cameras are called 'gate'"),
        (CAMERA + 'adress = "x"\n', "did you mean 'address'"),
        (CAMERA + 'schedule = "7-19"\n', "expected hours as 07:00-19:00"),
        (CAMERA.replace("gate", "../gate"), "a name has letters"),
        (CAMERA + "[[alert]]\n", "either a webhook, an mqtt address or a command"),
        (CAMERA + '[[alert]]\nmqtt = "mqtt://broker"\n', "expected mqtt://HOST/TOPIC"),
        (CAMERA + '[[alert]]\nmqtt = "mqtt://me:s3cret@broker/x"\n', "leave the password out"),
        (
            CAMERA.replace("rtsp://", "me:s3cret@"),
            r"\*\*\*@host/x: leave the password out; set SIGHTLINE_PASSWORD_GATE",
        ),
        (CAMERA + '[[alert]]\nwebhook = "htps://hooks.slack.example/s3cret"\n', r"htps://hooks.slack.example/\*\*\*'"),
        (CAMERA + '[[alert]]\nwebhook = "file:///etc/passwd"\n', "expected an http"),
        (
            CAMERA + '[[alert]]\nwebhook = "http://x/"\ncameras = ["gaet"]\n',
            "no camera is called 'gaet'; did you mean 'gate'",
        ),
        (
            CAMERA + '[[alert]]\nwebhook = "http://x/"\nkinds = ["zone-entre"]\n',
            "'zone-entre'; did you mean 'zone-enter'",
        ),
        (CAMERA + '[[alert]]\nwebhook = "http://x/"\nclass = ["car"]\n', "did you mean 'classes'"),
        (CAMERA + '[camera.rules]\n[[camera.rules.zones]]\nname = "door"\n', "did you mean 'zone'"),
        ("".join(CAMERA.replace("gate", f"gate {number}") for number in range(501)), "501 cameras in it; 500 at most"),
        (CAMERA + '[[alert]]\nwebhook = "http://"\n', "expected an http"),
        (CAMERA + '[[alert]]\nwebhook = "http://x:99999/"\n', "expected an http"),
        (CAMERA + '[[alert]]\nmqtt = "mqtt://h:99999/x"\n', "expected a port from 1 to 65535"),
        (CAMERA + '[[alert]]\ncommand = [" "]\n', "begins with the name of a program"),
        (CAMERA + '[[alert]]\ncommand = ["notify", "a\\u0000b"]\n', "holds a zero byte"),
        (CAMERA + '[[alert]]\nwebhook = "http://ho st/"\n', "expected an http"),
        (CAMERA + '[[alert]]\nwebhook = "http://host/a\\tb"\n', "expected an http"),
        (CAMERA + '[[alert]]\nmqtt = "mqtt://h/gate/#"\n', "a topic to publish to has no"),
        (CAMERA + '[[alert]]\nmqtt = "mqtt://h/+/gate"\n', "a topic to publish to has no"),
        (CAMERA + '[[alert]]\nmqtt = "mqtt://h/gate?qos=1"\n', "a topic to publish to has no"),
        (CAMERA + "blur_regions = [[0, 0, 640, 480]]\n", "blur_regions need 0 <= left"),
        (CAMERA + "roi = [[0, 0], [1e300, 0], [5, 5]]\n", "roi: coordinates go up to 1,000,000"),
        (
            CAMERA + '[camera.rules]\n[[camera.rules.line]]\nname = "a"\nstart = [0, 0]\nend = [1e300, 5]\n',
            "line 'a': coordinates go up to",
        ),
        (
            CAMERA + '[camera.rules]\n[[camera.rules.zone]]\nname = "a"\npolygon = [[0, 0], [1e300, 0], [9, 9]]\n',
            "zone 'a': coordinates go up to",
        ),
        (CAMERA + "roi = [[0, 0], [9, 9]]\n", "roi needs three or more corners"),
        (
            CAMERA.replace("[[camera]]", "[camera]"),
            r"a list of tables; write \[\[camera\]\] in place of",
        ),
        (CAMERA.replace("rtsp://host/x", ""), "camera gate: its address is empty"),
        (CAMERA + '[[camera]]\nname = "yard"\nadress = "x"\n', r"camera 2 \(yard\): unknown setting 'adress'"),
        (CAMERA + '[[camera]]\nadress = "x"\n', "camera 2: unknown setting 'adress'"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as refusal:
        read_cameras(written(tmp_path, text))
    assert "s3cret" not in str(refusal.value)


def test_the_password_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    camera = CameraConfig("front door", "rtsp://host:554/x", user="me")
    with pytest.raises(ConfigError, match="SIGHTLINE_PASSWORD_FRONT_DOOR"):
        address_of(camera)
    monkeypatch.setenv("SIGHTLINE_PASSWORD_FRONT_DOOR", "p@ss/w:rd")
    assert address_of(camera) == "rtsp://me:p%40ss%2Fw%3Ard@host:554/x"


def test_spans_may_cross_midnight() -> None:
    assert [in_span("22:00-06:00", 60 * hour) for hour in (21, 22, 23, 0, 5, 6)] == [
        False,
        True,
        True,
        True,
        True,
        False,
    ]
    assert [in_span("07:30-19:00", minute) for minute in (449, 450, 1139, 1140)] == [False, True, True, False]
