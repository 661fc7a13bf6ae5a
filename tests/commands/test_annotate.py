from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

import main
from tests.annotate.killing import ROOT, last_frame, left_in, start
from tests.annotate.tiny import write_clip, write_network

FORMATS = "mot,coco,cvat"


def run(*arguments: object) -> int:
    """The command in this process."""
    return main.main(["annotate", *map(str, arguments)])


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two good recordings, one in a folder with a troublesome name, and two bad ones; and the network."""
    folder = tmp_path_factory.mktemp("archive")
    write_network(folder / "tiny.onnx")
    write_clip(folder / "in" / "a b.mp4", 60)
    write_clip(folder / "in" / "süb .. dir" / "-x.mp4", 60, seed=2)
    (folder / "in" / "bad.mp4").write_bytes(b"no video" * 1000)
    (folder / "in" / "süb .. dir" / "empty.mkv").touch()
    return folder


def command(archive: Path, out: Path, *more: object) -> list[object]:
    """Options of a run over the archive."""
    return [archive / "in", "--recursive", "--out", out, "--model", archive / "tiny.onnx", "--format", FORMATS, *more]


@pytest.fixture(scope="module")
def annotated(archive: Path) -> Path:
    """Its output folder after a run with two workers."""
    out = archive / "out"
    assert run(*command(archive, out, "--workers", 2, "--progress", "none")) == 3
    return out


@pytest.fixture(scope="module")
def whole(long_clip: Path, clip: Path, network: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an unbroken run over both clips leaves, as `long_run` asks for it."""
    out = tmp_path_factory.mktemp("whole")
    assert run(*long_run(network, long_clip, clip), "--out", out) == 0
    return out


def long_run(network: Path, *clips: Path) -> list[object]:
    """Arguments without the output folder."""
    return [*clips, "--model", network, "--format", "mot,coco", "--progress", "none"]


def left_of_long(folder: Path) -> dict[str, object]:
    """What was left of the long clip alone."""
    return {name: content for name, content in left_in(folder).items() if name.startswith("long.")}


def test_results_mirror_the_input_and_stay_inside_the_output_folder(archive: Path, annotated: Path) -> None:
    kinds = (".json", ".sqlite", ".txt", ".xml")
    expected = {f"{stem}{kind}" for stem in ("a b", "süb .. dir/x") for kind in kinds} | {"summary.json"}
    found = {str(path.relative_to(annotated)) for path in annotated.rglob("*") if path.is_file()}
    assert found == expected
    assert sorted(path.name for path in archive.iterdir()) == ["in", "out", "tiny.onnx"]
    assert sorted(path.name for path in (archive / "in").iterdir()) == ["a b.mp4", "bad.mp4", "süb .. dir"]


def test_the_summary_mentions_every_file(annotated: Path) -> None:
    summary = json.loads((annotated / "summary.json").read_text(encoding="utf-8"))
    assert summary["totals"] | {"seconds": 0, "frames_per_second": 0} == {
        "files": 4,
        "done": 2,
        "skipped": 0,
        "failed": 2,
        "frames": 120,
        "frames_now": 120,
        "tracks": sum(file["tracks"] for file in summary["files"]),
        "seconds": 0,
        "frames_per_second": 0,
    }
    statuses = {file["name"]: file["status"] for file in summary["files"]}
    assert statuses == {
        "a b.mp4": "done",
        "bad.mp4": "failed",
        "süb .. dir/-x.mp4": "done",
        "süb .. dir/empty.mkv": "failed",
    }
    reasons = [file["note"] for file in summary["files"] if file["status"] == "failed"]
    assert "not a video" in reasons[0]
    assert "0 bytes" in reasons[1]


def test_again_all_finished_files_are_skipped_and_reported_so(
    archive: Path, annotated: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = shutil.copytree(annotated, tmp_path / "out")
    before = left_in(out)
    assert run(*command(archive, out, "--dry-run")) == 0
    plans = dict(line.rsplit("  ", 1) for line in capfd.readouterr().out.splitlines())
    assert plans["a b.mp4"] == "skip: finished"
    assert plans["bad.mp4"] == "new: not begun yet"
    assert run(*command(archive, out, "--progress", "json")) == 3
    captured = capfd.readouterr()
    output = [json.loads(line) for line in captured.out.splitlines()]
    ends = {row["file"]: row["status"] for row in output if "status" in row}
    assert (output[-1]["done"], output[-1]["files_left"], output[-1]["failed"]) == (True, 0, 2)
    assert not any(row["done"] for row in output[:-1])
    assert ends["a b.mp4"] == ends["süb .. dir/-x.mp4"] == "skipped"
    assert ends["bad.mp4"] == "failed"
    assert [line.split(":")[1].strip() for line in captured.err.splitlines()] == ["bad.mp4", "süb .. dir/empty.mkv"]
    assert left_in(out) == before


def test_a_dry_run_leaves_no_trace(archive: Path, tmp_path: Path) -> None:
    assert run(*command(archive, tmp_path / "out", "--dry-run", "--save")) == 0
    assert run(tmp_path / "gone.mp4", "--out", tmp_path / "out", "--dry-run") == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--format", "moot"), "unknown format 'moot'"),
        (("--model", "gone.onnx"), "gone.onnx"),
        (("--workers", "0"), "--workers 0: expected 1 or more"),
        (("--rules", "gone.toml"), "gone.toml"),
        (("--ray-address", "auto"), "--ray-address is for --engine ray"),
        (("--conf", "7"), "conf must be from 0 to 1"),
        (("--no-such",), "unknown option --no-such"),
    ],
)
def test_what_cannot_start_is_refused_in_one_line(
    arguments: tuple[str, ...], reason: str, archive: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(*command(archive, tmp_path / "out", "--progress", "none", *arguments)) == 2
    captured = capfd.readouterr()
    assert captured.out == ""
    assert len(captured.err.splitlines()) == 1
    assert reason in captured.err


def test_not_one_usable_file_is_exit_code_2(archive: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    bad = archive / "in" / "bad.mp4"
    assert run(bad, "--out", tmp_path / "out", "--model", archive / "tiny.onnx", "--progress", "none") == 2
    assert "not a video" in capfd.readouterr().err


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such file names")
def test_a_name_that_is_no_text_is_annotated_too(
    archive: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    name = os.fsdecode(b"caf\xe9.mp4")
    for folder, content in (("in", (archive / "in" / "a b.mp4").read_bytes()), ("bad", b"no video")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_bytes(content)
    common = ["--out", tmp_path / "out", "--model", archive / "tiny.onnx", "--format", FORMATS, "--progress", "json"]
    assert run(tmp_path / "in", *common) == 0
    assert run(tmp_path / "bad", *common) == 2
    assert "caf?.mp4" in capfd.readouterr().out
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "caf.json",
        "caf.sqlite",
        "caf.txt",
        "caf.xml",
        "summary.json",
    ]


@pytest.mark.parametrize("kind", ["other", "newer", "torn"])
def test_a_store_that_cannot_be_used_fails_alone_and_stays(
    archive: Path, annotated: Path, tmp_path: Path, kind: str
) -> None:
    out = shutil.copytree(annotated, tmp_path / "out")
    store = out / "a b.sqlite"
    content = bytearray(store.read_bytes())
    if kind == "other":
        content = bytearray(b"my diary")
    elif kind == "newer":
        content[60:64] = (99).to_bytes(4, "big")  # PRAGMA user_version
    else:
        content = content[: len(content) // 2]
    store.write_bytes(content)
    assert run(*command(archive, out, "--progress", "none")) == 3
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    (note,) = [file["note"] for file in summary["files"] if file["name"] == "a b.mp4" and file["status"] == "failed"]
    assert {"other": "not a recording", "newer": "newer Sightline", "torn": "malformed"}[kind] in note
    assert ("--overwrite sets it aside as a b.sqlite.damaged" in note) == (kind != "newer")
    assert ("--overwrite replaces it" in note) == (kind == "newer")
    assert store.read_bytes() == content
    assert run(*command(archive, out, "--progress", "none", "--overwrite")) == 3
    aside = out / "a b.sqlite.damaged"
    assert aside.exists() == (kind != "newer")  # what cannot be read is kept beside, what a newer program reads is not
    if aside.exists():
        assert aside.read_bytes() == content
        aside.unlink()
    assert left_in(out) == left_in(annotated)


@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
def test_ctrl_c_ends_at_once_and_the_same_command_goes_on(
    tmp_path: Path, long_clip: Path, network: Path, whole: Path
) -> None:
    common = [*long_run(network, long_clip), "--workers", "2", "--out", tmp_path / "broken"]
    process = start(["annotate", *map(str, common)])
    while last_frame(tmp_path / "broken" / "long.sqlite") < 100:
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)  # a terminal interrupts the workers too
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert stderr.strip() == "sightline: interrupted"
    assert not (tmp_path / "broken" / "long.txt").exists()
    assert run(*common) == 0
    assert left_in(tmp_path / "broken") == left_of_long(whole)


def test_two_commands_with_one_output_folder_do_not_disturb_each_other(
    tmp_path: Path, clip: Path, network: Path
) -> None:
    common = ["annotate", clip, "--model", network, "--format", FORMATS, "--progress", "none", "--out"]
    first, second = (start([*common, tmp_path / "both"]) for _ in range(2))
    output = [process.communicate(timeout=120) for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), output
    assert sum("  done  " in stdout for stdout, _ in output) == 1
    assert run(*common[1:], tmp_path / "alone") == 0
    assert left_in(tmp_path / "both") == left_in(tmp_path / "alone")


@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
def test_a_file_that_takes_its_process_down_twice_does_not_stop_the_others(
    tmp_path: Path, long_clip: Path, clip: Path, network: Path, whole: Path
) -> None:
    common = [*long_run(network, long_clip, clip), "--out", tmp_path / "broken"]
    process, killed = start(["annotate", *map(str, common)]), set[int]()
    while process.poll() is None and len(killed) < 2:
        if last_frame(tmp_path / "broken" / "long.sqlite") >= 100 + 200 * len(killed):
            for worker in psutil.Process(process.pid).children(recursive=True):
                if "spawn_main" in " ".join(worker.cmdline()) and worker.pid not in killed:
                    worker.kill()
                    killed.add(worker.pid)
        time.sleep(0.01)
    stdout, stderr = process.communicate(timeout=120)
    assert process.returncode == 3, stderr
    assert "its process died (signal 9), twice" in stdout
    assert "trying once more" in stderr
    assert run(*common) == 0
    assert left_in(tmp_path / "broken") == left_in(whole)


@pytest.mark.skipif(os.name == "nt", reason="limits on file sizes are Unix's")
def test_a_full_disk_fails_in_one_line_and_the_same_command_goes_on(
    tmp_path: Path, long_clip: Path, network: Path, whole: Path
) -> None:
    common = [*long_run(network, long_clip), "--out", tmp_path / "broken"]
    limited = "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000)); "
    limited += "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    arguments = [sys.executable, "-c", limited, ROOT / "main.py", "annotate", *common]
    done = subprocess.run([*map(str, arguments)], capture_output=True, text=True, cwd=ROOT, timeout=300, check=False)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "File too large. Raise the limit of file sizes" in done.stderr
    assert run(*common) == 0
    assert left_in(tmp_path / "broken") == left_of_long(whole)


def test_an_address_with_a_misspelt_protocol_fails_without_its_password(
    tmp_path: Path, archive: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run("rstp://me:s3cret@gate/live", "--out", out, "--model", archive / "tiny.onnx") == 2
    said = "".join(capfd.readouterr())
    assert "rstp://gate/live" in said
    assert "s3cret" not in said + (out / "summary.json").read_text(encoding="utf-8")
