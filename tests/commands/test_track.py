from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import yaml

import main
from tests.video.cameras import MjpegCamera
from tests.video.synthetic import irregular_ticks, write_clip
from tracker.commands.demo_clip import RATE, frames, true_boxes
from tracker.geometry import iou
from tracker.types import Detections, FrameResult, Tracks
from tracker.video import FileSource, VideoSink

ROOT = Path(__file__).parents[2]
SHOWN = range(60, 240)
"""Frames of the demo's clip that are tracked here: three seconds of each of its two shots."""
HALF_HIDDEN = 6
"""The person of the demo's photographs whom another image's edge cuts in half."""


def run(*arguments: object) -> int:
    return main.main([str(argument) for argument in arguments])


def stamps(path: Path) -> list[Fraction]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return sorted(frame.pts * Fraction(frame.time_base) for frame in container.decode(stream))


def jsonl(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Half of the demo's clip: real photographs under a moving camera."""
    path = tmp_path_factory.mktemp("clip") / "street.mp4"
    with VideoSink(path, rate=Fraction(RATE), time_base=Fraction(1, RATE * 512)) as sink:
        for frame in islice(frames(), SHOWN.start, SHOWN.stop):
            moved = replace(frame, index=frame.index - SHOWN.start, time=frame.time - SHOWN.start / RATE)
            sink.write(FrameResult(moved, Detections.empty(), Tracks.empty(), ()))
    return path


@pytest.fixture(scope="module")
def tracked(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of one complete run over it, in a process of its own, which notes what it took in process.json."""
    project = tmp_path_factory.mktemp("runs")
    script = f"""
        import json, sys
        from pathlib import Path
        sys.path.insert(0, {str(ROOT)!r})
        import main
        quiet = ("--project", {str(project)!r}, "--progress", "none")
        assert main.main(["track", {str(photographs)!r}, "--save", *quiet]) == 0
        try:
            from tests.memory import peak_mb
            peak = peak_mb()
        except ImportError:  # Windows reports no peak sizes
            peak = None
        heavy = [name for name in ("torch", "ultralytics", "PyQt6", "ray", "matplotlib") if name in sys.modules]
        Path({str(project)!r}, "process.json").write_text(json.dumps({{"peak_mb": peak, "heavy": heavy}}))
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], timeout=300, check=True)
    return project / "run"


def test_a_run_leaves_video_annotations_and_the_settings_used(tracked: Path) -> None:
    assert sorted(path.name for path in tracked.iterdir()) == ["args.yaml", "street.jsonl", "street.mp4", "street.txt"]
    used = yaml.safe_load((tracked / "args.yaml").read_text())
    assert used["command"] == "track"
    assert used["input"] == "street.mp4"
    assert used["detector"]["model"] == "auto"


def test_the_people_are_found_and_keep_their_identity(tracked: Path) -> None:
    rows = np.loadtxt(tracked / "street.txt", delimiter=",", ndmin=2)
    seen: dict[int, list[int]] = {}
    total = 0
    for index in SHOWN:
        ids, truth = true_boxes(index)
        here = rows[rows[:, 0] == index - SHOWN.start + 1]
        boxes = here[:, 2:6].copy()
        boxes[:, 2:] += boxes[:, :2]
        overlap = iou(truth, boxes)
        for person, overlaps in zip(ids.tolist(), overlap, strict=True):
            if person == HALF_HIDDEN:
                continue
            total += 1
            if len(here) and overlaps.max() >= 0.5:
                seen.setdefault(person, []).append(int(here[overlaps.argmax(), 1]))
    found = sum(map(len, seen.values()))
    faithful = sum(max(map(track_ids.count, set(track_ids))) for track_ids in seen.values())
    assert found / total > 0.9
    assert faithful / found > 0.9


def test_the_annotated_copy_has_the_sources_stamps_and_size(photographs: Path, tracked: Path) -> None:
    assert stamps(tracked / "street.mp4") == stamps(photographs)
    with av.open(str(tracked / "street.mp4")) as container:
        assert (container.streams.video[0].width, container.streams.video[0].height) == (1280, 720)


def test_the_same_file_twice_gives_the_same_bytes(photographs: Path, tracked: Path, tmp_path: Path) -> None:
    assert run("track", photographs, "--project", tmp_path, "--name", "again", "--progress", "none") == 0
    for suffix in ("txt", "jsonl"):
        assert (tmp_path / "again" / f"street.{suffix}").read_bytes() == (tracked / f"street.{suffix}").read_bytes()


def test_a_second_run_gets_a_folder_of_its_own(network: Path, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=3)
    options = ("--model", network, "--project", tmp_path / "runs", "--progress", "none", "--format", "mot")
    for name in ("run", "run2", "run3"):
        assert run("track", clip, *options) == 0
        assert (tmp_path / "runs" / name / "clip.txt").is_file()
        assert not (tmp_path / "runs" / name / "clip.jsonl").exists()


@pytest.mark.parametrize("option", [("--format", "none"), ("--set", "output.format=none")])
def test_format_none_writes_no_annotation_file(option: tuple[str, str], network: Path, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=3)
    options = ("--model", network, "--project", tmp_path, "--progress", "none", *option)
    assert run("track", clip, *options) == 0
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["args.yaml"]
    assert run("annotate", clip, "--model", network, "--out", tmp_path / "out", "--progress", "none", *option) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["clip.sqlite", "summary.json"]


def test_times_are_the_containers_for_variable_frame_rate_and_the_audio_is_kept(network: Path, tmp_path: Path) -> None:
    clip = write_clip(
        tmp_path / "phone.mp4", frames=25, ticks=irregular_ticks(25, first=40), audio_codec="aac", audio_begin_s=0.04
    )
    assert run("track", clip, "--model", network, "--save", "--project", tmp_path, "--progress", "none") == 0
    expected = stamps(clip)
    assert stamps(tmp_path / "run" / "phone.mp4") == expected
    lines = [line for line in jsonl(tmp_path / "run" / "phone.jsonl") if "time" in line]
    np.testing.assert_allclose([line["time"] for line in lines], [float(stamp) for stamp in expected], atol=1e-7)
    with av.open(str(tmp_path / "run" / "phone.mp4")) as copy, av.open(str(clip)) as source:
        assert len(copy.streams.audio) == 1
        samples = [sum(frame.samples for frame in media.decode(audio=0)) for media in (copy, source)]
    assert samples[0] == pytest.approx(samples[1], abs=2048)


def test_only_the_wanted_classes_are_followed(photographs: Path, tmp_path: Path) -> None:
    arguments = ("--classes", "bus", "--project", tmp_path, "--progress", "none", "--vid-stride", 4)
    assert run("track", photographs, *arguments) == 0
    names = {item["class"] for line in jsonl(tmp_path / "run" / "street.jsonl") for item in line.get("objects", [])}
    assert names == {"bus"}


def test_progress_as_json_lines_ends_with_done(
    network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=12)
    assert run("track", clip, "--model", network, "--project", tmp_path, "--progress", "json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[-1]["done"]
    assert (lines[-1]["frames"], lines[-1]["total"]) == (12, 12)
    assert not any(line["done"] for line in lines[:-1])


def test_an_image_folder_is_a_source(network: Path, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(4):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((96, 160, 3), 40 * number, np.uint8))
    assert run("track", folder, "--model", network, "--project", tmp_path, "--progress", "none") == 0
    assert len([line for line in jsonl(tmp_path / "run" / "images.jsonl") if "time" in line]) == 4


BAD = {
    "missing file": (("track", "none.mp4"), "none.mp4"),
    "folder without images": (("track", "empty"), "empty"),
    "not a video": (("track", "text.mp4"), "text.mp4"),
    "unknown option": (("track", "clip.mp4", "--confidence", "0.3"), "--confi"),
    "option without value": (("track", "clip.mp4", "--conf"), "--conf"),
    "unknown class": (("track", "clip.mp4", "--classes", "persn"), "did you mean 'person'"),
    "class number": (("track", "clip.mp4", "--classes", "99"), "0 to 79"),
    "unknown format": (("track", "clip.mp4", "--format", "motx"), "did you mean 'mot'"),
    "format of annotate alone": (("track", "clip.mp4", "--format", "coco"), "annotate writes every format"),
    "format none beside another": (("track", "clip.mp4", "--format", "none,mot"), "none stands for no file"),
    "unknown model": (("track", "clip.mp4", "--model", "sightlin-nano"), "did you mean 'sightline-nano'"),
    "missing model": (("track", "clip.mp4", "--model", "none.onnx"), "no such model file"),
    "missing reid": (("track", "clip.mp4", "--reid-model", "no.onnx"), "check the path, or leave out --reid-model"),
    "model that is none": (("track", "clip.mp4", "--model", "text.onnx"), "text.onnx"),
    "model of odd suffix": (("track", "clip.mp4", "--model", "text.mp4"), ".safetensors"),
    "unknown tracker": (("track", "clip.mp4", "--tracker", "bytetrak"), "did you mean 'bytetrack'"),
    "unknown device": (("track", "clip.mp4", "--device", "gpu"), "cuda"),
    "unknown command": (("trak", "clip.mp4"), "did you mean 'track'"),
    "unknown setting": (("track", "clip.mp4", "--set", "overlay.trail=1"), "did you mean 'trails'"),
    "odd image size": (("track", "clip.mp4", "--imgsz", "630"), "try 640"),
    "threshold out of range": (("track", "clip.mp4", "--conf", "3"), "from 0 to 1"),
    "missing settings": (("track", "clip.mp4", "--config", "none.toml"), "none.toml"),
    "file as folder": (("track", "clip.mp4", "--project", "text.mp4"), "text.mp4"),
    "camera that is not there": (("track", "77"), "77"),
    "address that refuses": (("track", "rtsp://user:secret@127.0.0.1:9/live", "--no-wait"), "127.0.0.1"),
    "detect without images": (("detect", "empty"), "empty"),
    "detect into a file's place": (("detect", "clip.mp4", "--out", "text.mp4/a.json"), "text.mp4"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_clear_line_and_exit_code_2(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_clip(tmp_path / "clip.mp4", frames=2)
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.mp4").write_text("this is no video\n" * 50)
    (tmp_path / "text.onnx").write_text("this is no model\n" * 50)
    before = sorted(tmp_path.rglob("*"))
    arguments, named = BAD[case]
    assert run(*arguments) == 2
    printed = capfd.readouterr()
    assert printed.err.count("\n") == 1
    assert printed.err.startswith("sightline: ")
    assert named in printed.err
    assert "secret" not in printed.err
    assert printed.out == ""
    assert sorted(path for path in tmp_path.rglob("*") if path.is_file()) == [path for path in before if path.is_file()]


@pytest.mark.shared
@pytest.mark.parametrize(
    "name",
    [
        "vp9_invalid-bitstream.webm",
        "mkv_subsample_encrypted_altref.webm",
    ],
)
def test_a_file_that_does_not_decode_is_refused(
    name: str, shared: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("track", shared / "data/media" / name, "--project", tmp_path, "--progress", "none") == 2
    assert capfd.readouterr().err.count("\n") == 1
    assert not list(tmp_path.rglob("*.txt"))


def test_damage_in_the_middle_is_counted_and_reported(
    network: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    clip = write_clip(tmp_path / "hurt.ts", frames=200, time_base=Fraction(1, 90000), key_every=10)
    content = bytearray(clip.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 6000] = np.random.default_rng(0).bytes(6000)
    clip.write_bytes(content)
    assert run("track", clip, "--model", network, "--project", tmp_path, "--progress", "none") == 3
    lines = [line for line in jsonl(tmp_path / "run" / "hurt.jsonl") if "time" in line]
    assert 100 < len(lines) < 200
    assert "damaged in" in capfd.readouterr().err


def start(*arguments: object, cwd: Path) -> subprocess.Popen[str]:
    command = [sys.executable, str(ROOT / "main.py"), *map(str, arguments)]
    return subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's here")
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_leaves_a_playable_video_and_readable_annotations(
    photographs: Path, tmp_path: Path, sent: signal.Signals, code: int
) -> None:
    process = start("track", photographs, "--save", "--project", tmp_path, "--progress", "json", cwd=tmp_path)
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["frames"] > 20:
            break
    process.send_signal(sent)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == code
    assert "Traceback" not in errors
    last = json.loads(output.splitlines()[-1])
    written = stamps(tmp_path / "run" / "street.mp4")
    lines = [line for line in jsonl(tmp_path / "run" / "street.jsonl") if "time" in line]
    assert 20 < len(written) < len(SHOWN)
    assert len(lines) == len(written) == last["frames"]
    assert last["done"]
    assert (tmp_path / "run" / "street.txt").is_file()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_one_clear_line_and_what_was_written_is_kept(network: Path, tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=400, width=320, height=192)
    script = f"""
        import resource, signal, sys
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
        sys.path.insert(0, {str(ROOT)!r})
        import main
        quiet = ("--project", {str(tmp_path)!r}, "--progress", "none", "--model", {str(network)!r})
        sys.exit(main.main(["track", {str(clip)!r}, "--save", *quiet]))
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "clip.mp4: cannot be written: File too large" in done.stderr or "File too large" in done.stderr
    assert not (tmp_path / "run" / "clip.txt").exists()
    assert not (tmp_path / "run" / "clip.jsonl").exists()
    lines = jsonl(tmp_path / "run" / "clip.jsonl.partial")
    assert len(lines) > 20
    assert str(tmp_path / "run" / "clip.jsonl.partial") in done.stderr
    assert len(list(FileSource(tmp_path / "run" / "clip.mp4"))) > 20


@pytest.mark.skipif(sys.platform == "win32", reason="peak sizes are reported on Unix")
def test_the_default_path_needs_no_torch_and_little_memory(tracked: Path) -> None:
    took = json.loads((tracked.parent / "process.json").read_text())
    assert took["heavy"] == []
    assert took["peak_mb"] < 500


def test_detect_writes_rows_of_every_image(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import importlib.util

    package = importlib.util.find_spec("ultralytics")
    assert package is not None
    assert package.origin is not None
    folder = tmp_path / "photographs"
    shutil.copytree(Path(package.origin).parent / "assets", folder, ignore=shutil.ignore_patterns("*.py*", "_*"))
    assert (
        run("detect", folder, "--out", tmp_path / "preds.json", "--draw", tmp_path / "drawn", "--progress", "none") == 0
    )
    rows = json.loads((tmp_path / "preds.json").read_text())
    assert {row["image"] for row in rows} == {"bus", "zidane"}
    assert sum(row["class"] == "person" and row["image"] == "bus" for row in rows) >= 3
    for row in rows:
        left, top, width, height = row["bbox"]
        tall, wide = (1080, 810) if row["image"] == "bus" else (720, 1280)
        assert left >= 0
        assert top >= 0
        assert left + width <= wide + 0.01
        assert top + height <= tall + 0.01
        assert row["segmentation"]["size"] == [tall, wide]
    assert {path.name for path in (tmp_path / "drawn").iterdir()} == {"bus.jpg", "zidane.jpg"}
    assert "2 images" in capsys.readouterr().out


def test_detect_numbers_the_frames_of_a_video(photographs: Path, tmp_path: Path) -> None:
    arguments = ("--out", tmp_path / "preds.json", "--progress", "none", "--vid-stride", 60, "--no-masks")
    assert run("detect", photographs, *arguments) == 0
    rows = json.loads((tmp_path / "preds.json").read_text())
    assert {row["image"] for row in rows} == {"street_000000", "street_000060", "street_000120"}
    assert not any("segmentation" in row for row in rows)


def test_help_names_every_command_and_every_option_explains_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    overview = capsys.readouterr().out
    assert all(name in overview for name in ("track", "detect", "demo"))
    with pytest.raises(SystemExit) as ended:
        run("track", "--help")
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for option in ("--model", "--conf", "--iou", "--imgsz", "--classes", "--max-det", "--device", "--vid-stride"):
        assert option in text


def test_the_process_ends_soon_after_ctrl_c_even_while_starting(photographs: Path, tmp_path: Path) -> None:
    process = start("track", photographs, "--project", tmp_path, "--progress", "none", cwd=tmp_path)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT if os.name == "posix" else signal.CTRL_C_EVENT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode != 0
    assert "Traceback" not in errors


def test_a_camera_that_starts_later_than_the_program_is_waited_for(network: Path, tmp_path: Path) -> None:
    camera = MjpegCamera(10, start=False)
    quiet = ("--project", tmp_path, "--name", "run", "--progress", "json", "--model", network)
    process = start("track", camera.address, *quiet, cwd=tmp_path)
    assert process.stderr is not None
    assert process.stdout is not None
    assert "Connection refused" in process.stderr.readline()
    with camera:
        camera.up()
        for line in process.stdout:
            output = json.loads(line)
            if output["frames"]:
                break
        assert (output["link"], output["clock"]) == ("live", "arrival")
        process.send_signal(signal.SIGTERM if os.name == "posix" else signal.CTRL_C_EVENT)
        process.communicate(timeout=120)


def test_without_waiting_a_camera_that_refuses_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    camera = MjpegCamera(10, start=False)
    assert run("track", camera.address, "--no-wait", "--project", tmp_path) == 2
    assert "Connection refused" in capsys.readouterr().err
