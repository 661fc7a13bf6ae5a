from __future__ import annotations

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import cv2
import pytest

import main
from tests.annotate.test_run import annotate, request
from tracker.annotate.report.svg_charts import clock
from tracker.store import Recording
from tracker.video import FileSource

RULES = """
[[line]]
name = "gate <b>"
start = [80.0, 0.0]
end = [80.0, 128.0]
[[zone]]
name = "square"
polygon = [[20.0, 20.0], [140.0, 20.0], [140.0, 100.0], [20.0, 100.0]]
max_dwell_s = 1.0
[speed]
image = [[0.0, 0.0], [160.0, 0.0], [160.0, 128.0], [0.0, 128.0]]
ground_m = [[0.0, 10.0], [10.0, 10.0], [10.0, 0.0], [0.0, 0.0]]
"""
EMPTY = {"meta", "img", "br"}


class Page(HTMLParser):
    """Checks that elements are closed in order, and collects addresses and texts."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory, clip: Path, network: Path) -> Path:
    """A finished recording with rules of all kinds."""
    out = tmp_path_factory.mktemp("out")
    annotate(clip, out, request(network, rules=RULES, formats="mot"))
    return out / "clip.sqlite"


def report(recording: Path, out: Path, *more: object) -> Page:
    """The page, read."""
    assert main.main(["report", str(recording), "--out", str(out), *map(str, more)]) == 0
    page = Page()
    page.feed(out.read_text(encoding="utf-8"))
    assert page.open == []
    return page


def test_the_page_stands_alone_and_shows_every_track(recording: Path, tmp_path: Path) -> None:
    page = report(recording, tmp_path / "new" / "a.html")
    with Recording(recording) as opened:
        tracks = opened.tracks()
        crossings = [row.event.value for row in opened.events() if row.event.kind == "line"]
    images = [address for address in page.addresses if address.startswith("data:image/jpeg;base64,")]
    assert page.addresses == images
    assert len(images) == len(tracks) + 1
    content = (tmp_path / "new" / "a.html").read_text(encoding="utf-8")
    assert not re.search(r"https?:", content)
    for heading in ("Objects over time", "Lines", "Zones", "Speeds", "Tracks", "Settings", "gate <b>"):
        assert heading in page.texts
    table = content.partition("<h2>Lines</h2>")[2].partition("<svg")[0]
    assert sum(map(int, re.findall(r'<td class="n">(\d+)</td>', table))) == len(crossings) > 0


def test_without_the_video_the_page_says_so(recording: Path, clip: Path, long_clip: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copy(clip, tmp_path / "moved.mp4"))
    page = report(recording, tmp_path / "a.html", "--video", tmp_path / "gone.mp4")
    assert any("gone.mp4: the recorded video is not there" in text for text in page.texts)
    page = report(recording, tmp_path / "a.html", "--video", long_clip)
    assert any("not the file that was recorded" in text for text in page.texts)
    with Recording(recording) as opened:
        assert len(report(recording, tmp_path / "a.html", "--video", moved).addresses) == len(opened.tracks()) + 1


def test_a_folder_of_images_has_images_too(tmp_path: Path, clip: Path, network: Path) -> None:
    folder = tmp_path / "walk"
    folder.mkdir()
    for frame in FileSource(clip, vid_stride=5):
        cv2.imwrite(str(folder / f"{frame.index}.png"), frame.image[:, :, ::-1])
    annotate(folder, tmp_path, request(network, formats="mot"))
    page = report(tmp_path / "walk.sqlite", tmp_path / "a.html")
    with Recording(tmp_path / "walk.sqlite") as opened:
        assert len(page.addresses) == len(opened.tracks()) + 1 > 1


def test_why_the_page_has_no_images_is_told_on_the_terminal_too(
    recording: Path, clip: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    report(recording, tmp_path / "whole.html")
    assert not caplog.messages
    other = tmp_path / "other.mp4"
    other.write_bytes(clip.read_bytes()[:-1])
    for video in (other, tmp_path / "gone.mp4"):
        caplog.clear()
        page = report(recording, tmp_path / "a.html", "--video", video)
        (warning,) = caplog.messages
        assert warning.startswith(f"{recording}: Without images: ")
        assert video.name in warning
        assert warning.removeprefix(f"{recording}: ") in page.texts


def test_a_report_never_replaces_its_recording(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = recording.read_bytes()
    assert main.main(["report", str(recording), "--out", str(recording)]) == 2
    assert "the input itself" in capsys.readouterr().err
    assert recording.read_bytes() == before
    assert main.main(["report", str(tmp_path / "gone.sqlite"), "--out", str(tmp_path / "a.html")]) == 2
    assert "gone.sqlite" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (7.5, "7.5 s"), (65, "1:05"), (3599.6, "1:00:00"), (7207, "2:00:07")]
)
def test_time_reads_as_on_a_player(seconds: float, text: str) -> None:
    assert clock(seconds) == text
