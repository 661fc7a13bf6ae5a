"""Which recordings a command line means, and where their results go: never outside the output folder."""

from __future__ import annotations

import glob
import hashlib
import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tracker.errors import ConfigError, SinkError, SourceError
from tracker.image_file import IMAGE_SUFFIXES
from tracker.paths import exists, safe_name
from tracker.video.address import is_address, redact

__all__ = ["RecordingJob", "find_jobs", "fingerprint", "legible", "printable"]

log = logging.getLogger(__name__)

VIDEO_SUFFIXES = """
    3g2 3gp asf avi divx dv f4v flv h264 h265 hevc m1v m2ts m2v m4v mjpeg mjpg mkv mov mp4 mpe mpeg mpg mts mxf nut ogm
    ogv ps rm ts vob webm wmv y4m
"""
FINGERPRINT_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class RecordingJob:
    """One recording to annotate."""

    source: Path
    """A video file, or a folder of images."""
    name: str
    """What people read: the path below the folder that was given."""
    base: Path
    """Where results go: this name with a suffix each."""
    out: Path

    @property
    def store(self) -> Path:
        """The recording's file."""
        return self.beside(".sqlite")

    def beside(self, suffix: str) -> Path:
        """A result of this recording."""
        return self.base.with_name(self.base.name + suffix)

    def prepare(self) -> None:
        """Make the folder for the results. Raises SinkError where it would lie outside the output folder."""
        try:
            self.base.parent.mkdir(parents=True, exist_ok=True)
            home = self.out.resolve()
        except OSError as error:
            raise SinkError(
                f"{self.base.parent}: cannot make the folder: {error.strerror}; try another --out"
            ) from error
        own = self.base.parent.glob(f"{glob.escape(self.base.name)}[.-]*")
        for path in (self.base.parent, *own):
            if not path.resolve().is_relative_to(home):
                raise SinkError(f"{path}: leads out of {self.out}; remove that link, or choose another --out")


def find_jobs(paths: Sequence[Path], out: Path, *, recursive: bool) -> list[RecordingJob]:
    """The recordings below the given paths in a stable order, each once; what lies in `out` itself is left out.

    A folder means its videos, with `recursive` those of its subfolders too; a folder of images without a video is one
    recording. A file named outright is taken whatever its suffix. Raises ConfigError where nothing is found.
    """
    found: dict[Path, tuple[str, ...]] = {}
    roots = Counter(path.resolve().name for path in paths if path.is_dir())
    for path in paths:
        if not path.is_dir():
            _refuse_address(path)
            found.setdefault(path.resolve(), (path.name,))
            continue
        root = (path.resolve().name,) if len(roots) > 1 or roots.total() > 1 else ()
        for source in _recordings_in(path.resolve(), out.resolve(), recursive=recursive):
            found.setdefault(source, (*root, *source.relative_to(path.resolve()).parts) or (source.name,))
    if not found:
        asked = ", ".join(map(str, paths))
        hint = "" if recursive else "; --recursive looks into subfolders too"
        if any(path.resolve() == out.resolve() for path in paths):
            hint = "; --out is this folder itself, and what lies there are results: give them a folder of their own"
        raise ConfigError(f"{asked}: no video and no folder of images in it{hint}")
    return _place(found, out)


def _refuse_address(path: Path) -> None:
    """Raise ConfigError for an address, of which a path has lost a slash; a file of such a name is a file."""
    scheme, colon, rest = str(path).partition(":/")
    address = f"{scheme}://{rest.lstrip('/')}"
    if colon and is_address(address) and not exists(path):
        raise ConfigError(
            f"{redact(address)}: an address, and annotate works on files; record it by track --save first"
        )


def legible(text: str) -> str:
    """The text with a question mark for each character that a terminal might obey, and each byte that is no text."""
    return "".join(character if character.isprintable() else "?" for character in printable(text))


def printable(text: str) -> str:
    """The text with a question mark for each byte of a file name that is no text in this system's encoding."""
    return text.encode(errors="replace").decode()


def fingerprint(source: Path) -> tuple[int, str]:
    """Size in bytes and a hash of a recording's head and tail; of a folder, of its images' names and sizes.

    Raises SourceError when it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        if source.is_dir():
            sizes = [(entry.name, entry.stat().st_size) for entry in sorted(source.iterdir()) if _is_image(entry)]
            digest.update(repr(sizes).encode())
            return sum(size for _, size in sizes), digest.hexdigest()
        if source.exists() and not source.is_file():  # reading a pipe or a device might never end
            raise SourceError(f"{source}: not a regular file. Give a video file or a folder of images.")
        with source.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            digest.update(file.read(FINGERPRINT_BYTES))
            file.seek(max(0, size - FINGERPRINT_BYTES))
            digest.update(file.read(FINGERPRINT_BYTES))
    except OSError as error:
        raise SourceError(f"{source}: cannot be read: {error.strerror}. Check the path and its rights.") from error
    return size, digest.hexdigest()


def _recordings_in(folder: Path, out: Path, *, recursive: bool) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        here = Path(parent)
        folders[:] = sorted(name for name in folders if recursive and (here / name).resolve() != out)
        if here == out:
            continue
        files = [here / name for name in sorted(names)]
        videos = [path for path in files if _is_video(path)]
        yield from videos
        animations = [path for path in files if path.suffix.lower() == ".gif" and path.is_file()] if videos else []
        if animations:  # without a video beside them they are images of a folder, which says so of each
            log.warning(
                "%s: %d GIF files beside its videos are left out, such as %s; name an animation itself to annotate it",
                printable(str(here)), len(animations), printable(animations[0].name),
            )  # fmt: skip
        if not videos and any(_is_image(path) for path in files):
            yield here


def _is_video(path: Path) -> bool:
    return path.suffix.lower().removeprefix(".") in VIDEO_SUFFIXES.split() and path.is_file()


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()


def _place(found: dict[Path, tuple[str, ...]], out: Path) -> list[RecordingJob]:
    """A base name for each recording: its own without suffix, with it where two would share one."""
    plain = {source: _target(source, parts, whole=False) for source, parts in found.items()}
    shared = Counter(str(target).casefold() for target in plain.values())
    jobs, taken = [], set()
    for source, parts in found.items():
        target = plain[source]
        if shared[str(target).casefold()] > 1:
            target = _target(source, parts, whole=True)
        if str(target).casefold() in taken:
            target = target.with_name(f"{target.name}-{_short_hash(str(source))}")
        taken.add(str(target).casefold())
        jobs.append(RecordingJob(source, legible("/".join(parts)), out / target, out))
    return jobs


def _target(source: Path, parts: tuple[str, ...], *, whole: bool) -> Path:
    *folders, name = parts
    if not whole and not source.is_dir():
        name = Path(name).stem
    elif whole:
        name = name.replace(".", "-")
    return Path(*map(safe_name, folders), safe_name(name))


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
