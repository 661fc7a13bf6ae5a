"""A light install runs what needs no torch, says what the rest needs, and brings no generic names."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

import tracker
from tests.annotate.conftest import clip, network
from tracker.extras import EXTRA_OF

__all__ = ["clip", "network"]

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
BARE = f"""
import sys
sys.modules.update(dict.fromkeys({sorted(EXTRA_OF)}))  # as if they were not installed
from tracker.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def bare(*arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
    """The program without any package of an extra."""
    command = [sys.executable, "-c", BARE, *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)})


def test_a_light_install_tracks_annotates_reports_and_converts(clip: Path, network: Path, tmp_path: Path) -> None:
    quiet = ("--model", network, "--vid-stride", 8, "--progress", "none")
    for arguments in (
        ("track", clip, "--save", *quiet),
        ("annotate", clip, "--out", "out", "--format", "coco", *quiet),
        ("report", "out/clip.sqlite", "--out", "a.html"),
        ("export-annotations", "out/clip.sqlite", "--format", "mot,cvat,yolo", "--out", "exports"),
        ("convert", "out/clip.json", "--from", "coco", "--to", "csv", "--out", "a.csv"),
    ):
        done = bare(*arguments, folder=tmp_path)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (("train", "detector", "--data", "a.yaml"), "train"),
        (("export", "auto", "--to", "onnx"), "train"),
        (("explain", "a.png"), "train"),
        (("evaluate", "detector", "--data", "a.yaml"), "train"),
        (("evaluate", "tracking", "--gt", "truth", "--results", "results"), "train"),
        (("track", "clip.mp4", "--model", "net.safetensors"), "train"),
        (("track", "clip.mp4", "--appearance", "reid", "--reid-model", "a.pt"), "train"),
        (("track", "clip.mp4", "--model", "net.pt"), "ultralytics"),
        (("track", "clip.mp4", "--show"), "gui"),
        (("demo",), "ultralytics"),
        ((), "gui"),
    ],
)
def test_what_needs_more_says_the_line_to_type(
    arguments: tuple[str, ...], extra: str, clip: Path, tmp_path: Path
) -> None:
    (tmp_path / "clip.mp4").symlink_to(clip)
    for name in ("net.safetensors", "net.pt", "a.pt", "a.png"):
        (tmp_path / name).touch()
    (tmp_path / "truth" / "street" / "gt").mkdir(parents=True)
    (tmp_path / "truth" / "street" / "gt" / "gt.txt").write_text("1,1,10,10,20,20,1,1,1\n")
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "street.txt").write_text("1,1,10,10,20,20,1,-1,-1,-1\n")
    done = bare(*arguments, folder=tmp_path)
    assert done.returncode == 2
    assert f'pip install "sightline[{extra}]"' in done.stderr
    assert done.stderr.count("\n") == 1


def test_extras_are_those_of_the_project() -> None:
    names = {name: {re.split(r"[><=\[]", each)[0] for each in each_of} for name, each_of in extras().items()}
    distributions = {package: {"sklearn": "scikit-learn"}.get(package, package.lower()) for package in EXTRA_OF}
    for package, extra in EXTRA_OF.items():
        assert distributions[package] in names[extra]
    needed = {re.split(r"[><=]", each)[0] for each in PROJECT["dependencies"]}
    assert not needed & set(distributions.values())
    assert not needed & {"filterpy", "matplotlib"}
    assert PROJECT["scripts"] == {"sightline": "tracker.__main__:main"}


def extras() -> dict[str, list[str]]:
    found: dict[str, list[str]] = PROJECT["optional-dependencies"]
    return found


def test_the_program_goes_by_the_name_it_was_called_by(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for command, name in (
        ([sys.executable, "-m", "tracker"], "python -m tracker"),
        ([sys.executable, str(ROOT / "main.py")], "python main.py"),
    ):
        environment = {"PYTHONPATH": str(ROOT)}
        done = subprocess.run([*command, "track"], cwd=tmp_path, capture_output=True, text=True, env=environment)
        assert f"try `{name} track --help`" in done.stderr
        output = subprocess.run([*command, "--version"], cwd=tmp_path, capture_output=True, text=True, env=environment)
        assert output.stdout == f"sightline {tracker.__version__}\n"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's wheel, built of a copy: what earlier builds left in the checkout must not get in."""
    folder = tmp_path_factory.mktemp("build")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        if (ROOT / name).is_file() and not name.startswith("tests/"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).symlink_to(ROOT / name)
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder / "out"), str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    (made,) = (folder / "out").glob("*.whl")
    return made


@pytest.mark.slow
def test_a_wheel_runs_in_any_folder_and_brings_two_packages(wheel: Path, clip: Path, tmp_path: Path) -> None:
    names = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in names if not name.endswith(".dist-info")} == {"tracker", "gui"}
    venv.create(tmp_path / "env", with_pip=True)
    scripts = Path(sysconfig.get_path("scripts", vars={"base": str(tmp_path / "env")}))
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(tmp_path / "env")}))
    environment = {**os.environ, "PYTHONPATH": ""}  # else a checkout there counts as installed
    subprocess.run([scripts / "python", "-m", "pip", "install", "-q", "--no-deps", wheel], check=True, env=environment)
    (packages / "beside.pth").write_text(sysconfig.get_path("purelib") + "\n")
    for command in ([scripts / "sightline"], [scripts / "python", "-m", "tracker"]):
        arguments = ["track", clip, "--vid-stride", "20", "--project", tmp_path, "--progress", "none"]
        done = subprocess.run([*command, *arguments], cwd="/", env={}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    code = "import tracker.embedded; print(*tracker.embedded.embedded_networks().values())"
    where = subprocess.run([scripts / "python", "-c", code], cwd="/", env={}, capture_output=True, text=True)
    assert where.stdout.startswith(str(packages / "tracker" / "weights"))


@pytest.mark.slow
def test_an_editable_install_brings_all(tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, 'build_backend'); import sightline_build as b;"
        f"print(b.prepare_metadata_for_build_editable({str(tmp_path)!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    metadata = (tmp_path / done.stdout.splitlines()[-1] / "METADATA").read_text()
    for name in ("torch", "ultralytics", "pyqt6", "pycocotools"):
        assert re.search(rf"^Requires-Dist: {name}>=[\d.]+$", metadata, re.MULTILINE)
