"""The commands that the jobs dock offers, and how their questions become a command line."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from tracker.cli import COMMANDS
from tracker.embedded import embedded_networks
from tracker.errors import ConfigError
from tracker.factory import DEFAULT_NETWORK
from tracker.paths import typed_path

__all__ = ["JobKind", "Question", "arguments_of", "job_kinds", "results_of"]

Asked: TypeAlias = Literal["paths", "file", "folder", "text", "count", "number", "flag"]


@dataclass(frozen=True, slots=True)
class Question:
    """One thing that a job is asked."""

    option: str
    """Such as --out; empty for what stands without one."""
    title: str
    asked: Asked
    help: str = ""
    needed: bool = False
    default: str = ""


@dataclass(frozen=True, slots=True)
class JobKind:
    """A command with the few questions most people answer; the rest goes into a line of options."""

    title: str
    command: tuple[str, ...]
    questions: tuple[Question, ...]
    fixed: tuple[str, ...] = ()
    example: str = ""
    """More options that this command takes."""
    trains: bool = False
    """Whether its --out folder gets a table of losses and measures, and it can be gone on with (--resume)."""


def _start_weights() -> str:
    """The embedded network's weights, which a training goes on from; empty where they are not here."""
    path = embedded_networks()[DEFAULT_NETWORK].with_suffix(".safetensors")
    return str(path) if path.is_file() else ""


def _training(kind: str, title: str, data: str, epochs: str, *more: Question) -> JobKind:
    return JobKind(
        title,
        ("train", kind),
        (
            Question("--data", "Data", "file" if kind in ("detector", "classifier") else "paths", data, needed=True),
            Question("--out", "Results", "folder", "where weights and the table of results go", needed=True,
                     default=f"train/{kind}"),
            *more,
            Question("--epochs", "Epochs", "count", "times every example is used", default=epochs),
            Question("--minutes", "Minutes at most", "number", "stop, fully annealed, after so long; 0 for no limit"),
            Question("--device", "Device", "text", "cpu, cuda or auto", default="auto"),
            Question("--resume", "Go on from the last state in that folder", "flag"),
        ),
        trains=True,
        example="--patience 10 --seed 1",
    )  # fmt: skip


KINDS = (
    JobKind(
        "Annotate videos",
        ("annotate",),
        (
            Question("", "Videos or folders", "paths", "videos, folders of videos, folders of images", needed=True),
            Question("--out", "Results", "folder", "where recordings and annotation files go", needed=True,
                     default="annotated"),
            Question("--format", "Formats", "text", "such as mot,coco,cvat; the recording itself is always written",
                     default="mot"),
            Question("--rules", "Lines and zones", "file", "a TOML file of rules to count at"),
            Question("--workers", "At a time", "count", "recordings in work at a time", default="1"),
            Question("--recursive", "Look into subfolders too", "flag"),
            Question("--no-refine", "Leave the tracks as they were found: no linking, filling, smoothing", "flag"),
            Question("--save", "Write annotated videos too", "flag"),
        ),
        fixed=("--progress", "json"),
        example="--conf 0.4 --set tracker.max_coast_s=3",
    ),
    _training(
        "detector", "Train a detector", "a data.yaml, or a COCO JSON file", "50",
        Question("--start", "Start from", "file", "weights to go on from; empty begins with random ones, which needs "
                 "thousands of images", default=_start_weights()),
        Question("--freeze", "Freeze for epochs", "count", "in these only the heads learn; no more than there are",
                 default="2"),
        Question("--imgsz", "Image size", "count", "a multiple of 32; small objects need 640", default="416"),
    ),
    _training("classifier", "Train a classifier", "an .npz, or a folder with one folder per class", "14"),
    _training("reid", "Train re-identification", "VIDEO=TRACKS, several separated by blanks", "30"),
    _training(
        "segmentation", "Train segmentation", "a folder or .tar with train and val images and labels", "100",
        Question("--names", "Names of the classes", "text", "in the order of their numbers: road,car,person,sky",
                 needed=True),
    ),
    JobKind(
        "Export a network",
        ("export",),
        (
            Question("", "Network", "file", "a .safetensors file of a training, or auto", needed=True, default="auto"),
            Question("--to", "Format", "text", "onnx, openvino or torchscript", default="onnx"),
            Question("--data", "Data", "file", "to calibrate on and to measure before and after"),
            Question("--out", "File", "text", "to write; without it beside the network"),
            Question("--half", "Half precision: half the size", "flag"),
            Question("--int8", "8-bit convolutions, calibrated on the data", "flag"),
        ),
    ),
    JobKind(
        "Evaluate a detector",
        ("evaluate", "detector"),
        (
            Question("--model", "Network", "file", "auto, or a file", default="auto"),
            Question("--data", "Data", "file", "a data.yaml, or a COCO JSON file", needed=True),
            Question("--split", "Part", "text", "val, test or train", default="val"),
            Question("--per-folder", "Each folder of images by itself too", "flag"),
        ),
    ),
    JobKind(
        "Export recordings",
        ("export-annotations",),
        (
            Question("", "Recordings", "paths", ".sqlite files of annotate", needed=True),
            Question("--format", "Formats", "text", "such as mot,coco,cvat", needed=True, default="coco"),
            Question("--out", "Results", "folder", "where the files go", needed=True, default="exported"),
            Question("--images", "Write the images too, as a data set to train on (coco, yolo, voc)", "flag"),
            Question("--every", "Every so many frames", "count", "with images: 10 takes every tenth"),
            Question("--split", "Part to train on", "number", "with images: 0.8 keeps a fifth for validation"),
        ),
    ),
    JobKind(
        "Evaluate tracks",
        ("evaluate", "tracking"),
        (
            Question("--gt", "Ground truth", "folder", "a folder with <sequence>/gt/gt.txt", needed=True),
            Question("--results", "Results", "folder", "a folder with <sequence>.txt", needed=True),
        ),
    ),
    JobKind(
        "Associate detections",
        ("associate",),
        (
            Question("", "Sequences", "folder", "a folder with <sequence>/det/det.txt", needed=True),
            Question("--out", "Results", "folder", "where <sequence>.txt files go", needed=True, default="associated"),
            Question("--tracker", "Tracker", "text", "preset, or a settings file", default="default"),
            Question("--refine", "Refine the tracks offline", "flag"),
        ),
    ),
    JobKind(
        "Tune the tracker",
        ("tune",),
        (
            Question("", "Sequences", "folder", "a folder with <sequence>/det and <sequence>/gt", needed=True),
            Question("--trials", "Settings to try", "count", default="100"),
            Question("--out", "Best settings", "text", "file that the best go to", default="tuned.toml"),
        ),
    ),
)  # fmt: skip


def job_kinds() -> list[JobKind]:
    """Those whose command this program has."""
    return [kind for kind in KINDS if kind.command[0] in COMMANDS]


def arguments_of(kind: JobKind, answers: Mapping[str, str], options: str = "") -> list[str]:
    """The command line for these answers, by option.

    Raises ConfigError for an answer that is missing, or no number where one is asked, or options that cannot be read.
    """
    arguments = list(kind.command)
    for question in kind.questions:
        answer = answers.get(question.option, "").strip()
        if question.asked == "flag":
            arguments += [question.option] if answer == "true" else []
        elif not answer:
            if question.needed:
                raise ConfigError(f"{question.title} is missing: {question.help}")
        elif not _is_of_kind(answer, question.asked):
            example = question.default or ("10" if question.asked == "count" else "0.8")
            raise ConfigError(f"{question.title}: expected a number such as {example}, found {answer!r}")
        elif question.asked == "paths":
            parts = _split(answer, question.title)
            arguments += [item for part in parts for item in ((question.option, part) if question.option else (part,))]
        else:
            arguments += [question.option, answer] if question.option else [answer]
    return [*arguments, *kind.fixed, *_split(options, "More options")]


def _is_of_kind(answer: str, asked: Asked) -> bool:
    """Whether a number is one where one is asked for; the command itself says what it takes of it."""
    if asked == "count":
        return answer.isascii() and answer.isdecimal()
    if asked == "number":
        try:
            return math.isfinite(float(answer))
        except ValueError:
            return False
    return True


def results_of(answers: Mapping[str, str], folder: Path) -> Path | None:
    """The file or folder that a job writes; a relative one is meant from `folder`. None where it writes none."""
    out = answers.get("--out", "").strip()
    return folder / typed_path(out) if out else None


def _split(text: str, title: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ConfigError(f"{title}: {error}; a path with blanks needs quotes around it") from error
