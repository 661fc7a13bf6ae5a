"""The folder of a run, the files in it, and what was found, reported in a few lines."""

from __future__ import annotations

import argparse
import itertools
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from tracker.config import to_mapping
from tracker.errors import ConfigError, SinkError
from tracker.factory import Settings
from tracker.paths import safe_name, shortened, typed_path
from tracker.protocols import FrameSource, Sink
from tracker.runner import Progress
from tracker.types import Frame, FrameResult, TrackState
from tracker.video.address import redact_within

__all__ = [
    "Tally",
    "frame_names",
    "image_names",
    "new_folder",
    "output_file",
    "own_folder",
    "safe_stem",
    "spare_images",
    "spare_inputs",
    "table",
    "write_settings",
]


def new_folder(project: Path, name: str) -> Path:
    """A folder of its own for this run: project/name, or project/name2, name3 ... when that is taken."""
    for number in itertools.count(1):
        folder = project / (name if number == 1 else f"{name}{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            if folder.is_dir():
                continue
            raise SinkError(f"{folder}: a file stands where the run's folder should be; try another --name") from None
        except OSError as error:
            raise SinkError(f"{folder}: cannot make the folder: {error.strerror}; try another --project") from error
        return folder
    raise AssertionError("counting never ends")


def own_folder(folder: Path) -> Path:
    """The folder itself, made when it is not there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SinkError(f"{folder}: cannot make the folder: {error.strerror}; try another place") from error
    return folder


def output_file(*suffixes: str) -> Callable[[str], Path]:
    """The type of an option that names a file to write: one that ends so, so that no file of another kind is lost."""

    def parse(text: str) -> Path:
        path = typed_path(text)
        if path.suffix.lower() not in suffixes:
            raise argparse.ArgumentTypeError(f"expected a name ending in {' or '.join(suffixes)}, found {text!r}")
        return path

    return parse


def spare_images(option: str, folder: Path, source: FrameSource) -> None:
    """Raise ConfigError where images written to the folder might take the place of those that are read."""
    if any(path.resolve().parent.is_relative_to(folder.resolve()) for path in source.paths):
        raise ConfigError(f"{option} {folder}: the images read lie there and might be replaced; name another folder")


def spare_inputs(out: Path, *inputs: Path) -> None:
    """Raise ConfigError where the output would take the place of one of its inputs."""
    for path in inputs:
        if path.resolve() == out.resolve():
            raise ConfigError(f"--out {out}: this is the input itself; choose another name")


def image_names(paths: Iterable[Path]) -> dict[Path, str]:
    """What images are called, by their absolute paths, as `frame_names` says."""
    every = list(dict.fromkeys(path.absolute() for path in paths))
    common = Path(os.path.commonpath([path.parent for path in every]))
    below = [path.relative_to(common) for path in every]
    for names in ([path.stem for path in every], [path.with_suffix("").as_posix() for path in below]):
        if len({name.casefold() for name in names}) == len(names):
            return dict(zip(every, names, strict=True))
    return dict(zip(every, [path.as_posix() for path in below], strict=True))


def frame_names(source: FrameSource) -> Callable[[Frame], str]:
    """What an image is called: its file's stem, or a video's stem and the frame's number from 0.

    Where files share a stem, all are called by their folders below the common one too; where they differ by nothing
    but the suffix, by that as well.
    """
    if source.paths:
        names = image_names(source.paths)
        return lambda frame: names[source.paths[frame.index].absolute()]
    stem = shortened(Path(source.name).stem)
    return lambda frame: f"{stem}_{frame.index:06d}"


def safe_stem(source: FrameSource) -> str:
    """A file name, without suffix, for what a source is called."""
    name = source.name if source.live else Path(source.name).stem
    return safe_name(re.sub(r"[^\w.-]+", "-", name).strip("-.") or "source")


def write_settings(folder: Path, command: str, source: str, settings: Settings) -> None:
    """The settings used, as args.yaml."""
    tree = {"command": command, "input": source, **_without_secrets(to_mapping(settings))}
    path = folder / "args.yaml"
    try:
        path.write_text(yaml.safe_dump(tree, sort_keys=False, allow_unicode=True), encoding="utf-8")
    except OSError as error:
        raise SinkError(f"{path}: cannot write the settings: {error.strerror}; try another --project") from error


def _without_secrets(tree: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with every address in them redacted, also one given where a file was meant."""
    shown: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            shown[key] = _without_secrets(value)
        else:
            shown[key] = redact_within(value) if isinstance(value, str) else value
    return shown


class Tally(Sink):
    """A sink that counts what was found: tracks by class, each by the class it was seen as most."""

    def __init__(self, labels: Sequence[str]) -> None:
        self._labels = labels
        self._classes: dict[int, Counter[int]] = {}

    def write(self, result: FrameResult) -> None:
        tracks = result.tracks
        seen = (tracks.states == TrackState.CONFIRMED) & (tracks.unseen == 0)
        for track, class_id in zip(tracks.ids[seen].tolist(), tracks.class_ids[seen].tolist(), strict=True):
            self._classes.setdefault(track, Counter())[class_id] += 1

    def close(self) -> None:
        """Nothing to finish: the counts stay."""

    discard = close

    def tracks_by_class(self) -> dict[str, int]:
        """Number of tracks per class name, most first."""
        votes = Counter(counts.most_common(1)[0][0] for counts in self._classes.values())
        return {self._labels[class_id]: count for class_id, count in votes.most_common()}


def table(progress: Progress, tally: Tally, engine: str, files: Sequence[Path]) -> str:
    """What a run did: frames, frames/s, tracks, classes, files written."""
    by_class = tally.tracks_by_class()
    classes = ", ".join(f"{name} {count}" for name, count in by_class.items()) or "none"
    rate = progress.frames / progress.seconds if progress.seconds else np.nan
    rows = [
        ("frames", f"{progress.frames}" + (f" ({progress.dropped} dropped)" if progress.dropped else "")),
        ("frames/s", f"{rate:.1f}"),
        ("tracks", f"{sum(by_class.values())}"),
        ("classes", classes),
        ("engine", engine),
    ]
    if progress.rejected:
        rows.append(("rejected", f"{progress.rejected} broken boxes of the network"))
    if progress.damage:
        rows.append(("damage", f"{progress.damage} places could not be decoded"))
    rows += [("written" if index == 0 else "", str(path)) for index, path in enumerate(files)]
    return "\n".join(f"{name:9} {value}" for name, value in rows)
