from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.annotate.recordings import find_jobs, fingerprint, safe_name
from tracker.errors import ConfigError, SinkError, SourceError

HOSTILE = (
    "..",
    ".",
    "../../etc/passwd",
    "/etc/passwd",
    "a\\b",
    "con",
    "NUL.txt",
    "a\0b",
    "\n",
    " ",
    "-",
    "é" * 200,
    "",
)


def touch(folder: Path, *names: str) -> Path:
    """Files without content."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


@given(st.one_of(st.sampled_from(HOSTILE), st.text(max_size=150)))
def test_a_safe_name_is_one_plain_file_name(name: str) -> None:
    safe = safe_name(name)
    assert safe
    assert safe == Path(safe).name
    assert not safe.startswith((".", "-"))
    assert safe.isprintable()
    assert len(safe.encode()) <= 100
    assert safe.partition(".")[0].lower() not in ("con", "nul", "aux", "prn", "com1", "lpt9")


@pytest.mark.skipif(os.name == "nt", reason="other systems have no such file names")
def test_what_is_told_of_a_name_is_nothing_a_terminal_obeys(tmp_path: Path) -> None:
    (job,) = find_jobs([touch(tmp_path, "\x1b[31m\nred.mp4")], tmp_path / "out", recursive=False)
    assert job.name == "?[31m?red.mp4"
    assert job.source.exists()


def test_animations_left_out_beside_videos_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = touch(tmp_path / "in", "a.mp4", "b.gif", "c.GIF", "deep/d.gif")
    (job,) = find_jobs([root], tmp_path / "out", recursive=False)
    assert job.source == root / "a.mp4"
    (warning,) = caplog.messages
    assert warning.startswith(f"{root}: 2 GIF files beside its videos are left out, such as b.gif; name an animation")
    caplog.clear()
    find_jobs([root / "b.gif", root / "deep"], tmp_path / "out", recursive=False)
    assert not caplog.messages


def test_results_lie_as_the_input_lies(tmp_path: Path) -> None:
    names = ("b.mp4", "a.MKV", "notes.txt", "2024 März/x.y.avi", "2024 März/deep/c.mov")
    root, out = touch(tmp_path / "in", *names), tmp_path / "out"
    flat = find_jobs([root], out, recursive=False)
    assert [job.name for job in flat] == ["a.MKV", "b.mp4"]
    deep = find_jobs([root], out, recursive=True)
    assert [str(job.store.relative_to(out)) for job in deep] == [
        "a.sqlite",
        "b.sqlite",
        "2024 März/x.y.sqlite",
        "2024 März/deep/c.sqlite",
    ]
    two = find_jobs([root, touch(tmp_path / "more", "b.mp4")], out, recursive=False)
    assert [str(job.store.relative_to(out)) for job in two] == ["in/a.sqlite", "in/b.sqlite", "more/b.sqlite"]


def test_every_recording_has_results_of_its_own(tmp_path: Path) -> None:
    names = ("a.mp4", "a.avi", "A.mov", "a-mp4.mkv", "-a.webm", "b?.mp4", "b*.mp4", "one/a.mp4")
    root = touch(tmp_path / "in", *names)
    for paths in ([root], [root / name for name in names]):
        jobs = find_jobs(paths, tmp_path / "out", recursive=True)
        assert len(jobs) == len(names)
        assert len({str(job.base).casefold() for job in jobs}) == len(names)


def test_an_address_is_refused_without_its_password_and_a_file_of_that_name_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=r"^rtsp://host/x: an address, and annotate works on files"):
        find_jobs([Path("rtsp://me:s3cret@host/x")], tmp_path / "out", recursive=False)
    monkeypatch.chdir(tmp_path)
    file = Path("rtsp:", "host")
    file.parent.mkdir()
    file.touch()
    [job] = find_jobs([Path("rtsp://host")], tmp_path / "out", recursive=False)
    assert job.source == tmp_path / file


def test_a_recording_named_twice_is_done_once(tmp_path: Path) -> None:
    root = touch(tmp_path / "in", "a.mp4")
    (tmp_path / "link.mp4").symlink_to(root / "a.mp4")
    paths = [root, root / "a.mp4", root / ".." / "in" / "a.mp4", tmp_path / "link.mp4"]
    assert len(find_jobs(paths, tmp_path / "out", recursive=True)) == 1


def test_a_folder_of_images_is_one_recording_and_results_are_none(tmp_path: Path) -> None:
    root = touch(tmp_path / "in", "walk/1.png", "walk/2.png", "mixed/1.png", "mixed/a.mp4", "out/old/b-annotated.mp4")
    jobs = find_jobs([root], root / "out", recursive=True)
    assert [job.name for job in jobs] == ["mixed/a.mp4", "walk"]
    assert jobs[1].store == root / "out" / "walk.sqlite"


@pytest.mark.parametrize("names", [(), ("notes.txt",), ("deep/a.mp4",)])
def test_nothing_to_do_is_reported(tmp_path: Path, names: tuple[str, ...]) -> None:
    (tmp_path / "in").mkdir()
    touch(tmp_path / "in", *names)
    with pytest.raises(ConfigError, match="no video"):
        find_jobs([tmp_path / "in"], tmp_path / "out", recursive=False)


def test_results_need_a_folder_of_their_own(tmp_path: Path) -> None:
    root = touch(tmp_path / "in", "a.mp4")
    with pytest.raises(ConfigError, match="a folder of their own"):
        find_jobs([root], root / "x" / "..", recursive=False)


@pytest.mark.parametrize("leading", ["folder", "a.sqlite", "a.txt.partial", "a-annotated.partial.mp4"])
def test_a_link_that_leads_out_of_the_output_folder_is_refused(tmp_path: Path, leading: str) -> None:
    root, out, elsewhere = touch(tmp_path / "in", "sub/a.mp4"), tmp_path / "out", tmp_path / "elsewhere"
    elsewhere.mkdir()
    out.mkdir()
    if leading == "folder":
        (out / "sub").symlink_to(elsewhere)
    else:
        (out / "sub").mkdir()
        (out / "sub" / leading).symlink_to(elsewhere / leading)
    (job,) = find_jobs([root], out, recursive=True)
    with pytest.raises(SinkError, match="leads out of"):
        job.prepare()
    assert not list(elsewhere.iterdir())


def test_a_fingerprint_gives_changes_at_both_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    content = bytearray(3 << 20)
    path.write_bytes(content)
    seen = {fingerprint(path)}
    for place in (0, -1):
        content[place] = 1
        path.write_bytes(content)
        seen.add(fingerprint(path))
    assert len(seen) == 3
    with pytest.raises(SourceError, match="cannot be read"):
        fingerprint(tmp_path / "gone.mp4")
