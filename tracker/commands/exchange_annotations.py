"""`export-annotations` and `import-annotations`: between recordings and the formats others read."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tracker.annotate.across import Across, read_across
from tracker.annotate.export import export, export_suffix
from tracker.annotate.import_ import import_annotations
from tracker.commands.annotation_options import add_image_options, add_write_options, image_options, write_options
from tracker.commands.command_parser import comma_list
from tracker.commands.outputs import output_file, own_folder, spare_inputs
from tracker.commands.recording_files import find_recordings, for_each_recording
from tracker.errors import ConfigError
from tracker.formats import FORMATS, find_format
from tracker.formats.label_maps import LABEL_MAP_FORMATS
from tracker.paths import typed_path
from tracker.store import Recording
from tracker.store.renumber import renumbered_copy

__all__ = ["add_parsers"]

log = logging.getLogger(__name__)


def add_parsers(subparsers: Any) -> None:
    """Add both."""
    known = ", ".join(FORMATS)
    exporting = subparsers.add_parser(
        "export-annotations",
        help="a recording in the formats others read",
        description="Write recordings, as they stand after all corrections, in the formats others read.",
    )
    text = "recordings of annotate, or folders of them, looked into with all their sub-folders"
    exporting.add_argument("recordings", nargs="+", type=typed_path, metavar="PATH", help=text)
    text = f"one or more of {known}; of a label per pixel (annotate --semantic) {', '.join(LABEL_MAP_FORMATS)}"
    exporting.add_argument("--format", type=comma_list, required=True, metavar="A,B", help=text)
    exporting.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the files")
    add_write_options(exporting)
    add_image_options(exporting)
    exporting.add_argument("--video", type=Path, metavar="FILE", help="with --images: where the video is now, if moved")
    identities = "project of across: tracks are written under the ids they have over all its recordings"
    exporting.add_argument("--identities", type=typed_path, metavar="FILE.json", help=identities)
    exporting.set_defaults(run=_export)

    importing = subparsers.add_parser(
        "import-annotations",
        help="annotations from elsewhere as a recording",
        description="Make a recording, to be corrected, counted and exported, of annotations made elsewhere.",
    )
    importing.add_argument("annotations", type=Path, metavar="FILE", help="annotation file, or folder for some formats")
    importing.add_argument("--format", required=True, metavar="NAME", help=f"what the file is: one of {known}")
    importing.add_argument("--video", type=Path, required=True, metavar="FILE", help="the video that was annotated")
    text = "the recording to write"
    importing.add_argument("--out", type=output_file(".sqlite"), required=True, metavar="FILE.sqlite", help=text)
    importing.add_argument("--classes", type=comma_list, default=(), metavar="A,B", help="names for numbered classes")
    importing.add_argument("--overwrite", action="store_true", help="replace a recording that is there already")
    importing.set_defaults(run=_import)


def _export(options: argparse.Namespace) -> int:
    of_objects = [name for name in options.format if name not in LABEL_MAP_FORMATS]
    for name in of_objects:
        find_format(name)
    if options.images and len(of_objects) < len(options.format):
        raise ConfigError(f"--images: not for the formats {', '.join(LABEL_MAP_FORMATS)}; export these apart")
    chosen, images = write_options(options, of_objects), image_options(options, of_objects)
    recordings = find_recordings(options.recordings)
    if options.video is not None and (images is None or len(recordings) > 1):
        raise ConfigError("--video: goes with --images and one recording")
    across = read_across(options.identities) if options.identities is not None else None

    def export_one(path: Path, called: str) -> None:
        base = options.out / called
        own_folder(base.parent)
        with _as_numbered(path, across) as recording:
            if not recording.complete:
                log.warning("%s: not finished yet; it ends with frame %d", path, recording.last_frame)
            for name in dict.fromkeys(options.format):
                target = base.with_name(f"{base.name}{export_suffix(name, images=images is not None)}")
                export(recording, name, target, chosen, images=images, video=options.video)
                sys.stdout.write(f"{target}\n")

    return for_each_recording(recordings, export_one)


@contextmanager
def _as_numbered(path: Path, across: Across | None) -> Iterator[Recording]:
    """The recording, or a copy that is gone afterwards with the ids of the project."""
    if across is None:
        with Recording(path) as recording:
            yield recording
        return
    numbers = across.numbers_in(path)
    with TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        renumbered_copy(path, numbers, copy)
        with Recording(copy) as recording:
            yield recording


def _import(options: argparse.Namespace) -> int:
    find_format(options.format)
    spare_inputs(options.out, options.annotations, options.video)
    if options.out.exists() and not options.overwrite:
        raise ConfigError(f"{options.out}: exists already; --overwrite replaces it, with its corrections")
    counts = import_annotations(
        options.annotations, options.format, video=options.video, out=options.out, labels=tuple(options.classes)
    )
    sys.stdout.write(f"{counts.frames} frames, {counts.objects} objects, {counts.tracks} tracks: {options.out}\n")
    return 0
