"""`track`: follow objects through a file, folder, camera or stream; write video and annotations, or show a window."""

from __future__ import annotations

import argparse
import logging
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tracker.analytics import Analytics, load_rules
from tracker.commands.live_counts import EventLog, FrameInfo, rules_summary
from tracker.commands.options import (
    add_detector_options,
    add_live_options,
    add_output_options,
    add_semantic_options,
    add_settings_options,
    add_source_options,
    add_tracking_options,
    settings_from,
)
from tracker.commands.outputs import Tally, new_folder, safe_stem, table, write_settings
from tracker.commands.progress import Ended, LastLine, follow_run
from tracker.ending import HeldSignals
from tracker.errors import ConfigError, SourceError, TrackerError
from tracker.factory import (
    Settings,
    annotation_sink,
    check_formats,
    make_pipeline,
    make_runner,
    settled_precision,
    usable_cores,
)
from tracker.formats.core.atomic import PARTIAL
from tracker.protocols import Analyse, FrameSource, Sink
from tracker.runner import Progress, Runner
from tracker.video import OneSize, VideoSink, open_source, wait_for_source
from tracker.video.address import is_address

__all__ = ["Outputs", "add_parsers", "exit_code", "track_source"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Outputs:
    """Where the results of one source go; None where a result is not wanted."""

    video: Path | None
    annotations: dict[str, Path]
    """File per format name."""

    @property
    def files(self) -> list[Path]:
        """All of them, the video first."""
        return [path for path in (self.video, *self.annotations.values()) if path is not None]


def add_parsers(subparsers: Any) -> None:
    """Add `track`."""
    parser = subparsers.add_parser("track", help="follow people and vehicles", description=__doc__)
    parser.add_argument("source", help="file, folder, 'glob', camera number or name, rtsp:// or http:// address")
    parser.add_argument("--show", action="store_true", help="open a live window; q or Esc ends")
    text = "lines and zones to count at: events are printed, and written as CSV beside the annotations"
    parser.add_argument("--rules", type=Path, metavar="FILE.toml", help=text)
    text = "print one line per frame: what it shows by class, and the ids"
    parser.add_argument("--info", action="store_true", help=text)
    add_source_options(parser)
    add_live_options(parser)
    add_detector_options(parser)
    add_semantic_options(parser)
    add_tracking_options(parser)
    add_output_options(parser)
    add_settings_options(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    with LastLine(options, source=options.source, frames=0) as last:
        return _track(options, last)


def _track(options: argparse.Namespace, last: LastLine) -> int:
    settings = settings_from(options)
    last.style = settings.output.progress
    detector = settled_precision(settings.detector, threads=usable_cores())
    settings = replace(settings, detector=detector)  # what args.yaml names
    check_formats(settings.output.format)
    if settings.semantic.network and settings.output.format and "jsonl" not in settings.output.format:
        log.warning("--format %s: no file of these has a label per pixel; add jsonl", ",".join(settings.output.format))
    if options.show and options.show_window is None:
        raise ConfigError("--show: this door of the program has no window; start it as a program: sightline track")
    _check(options, settings)
    rules = load_rules(options.rules) if options.rules is not None else None
    source = _open(options.source, settings)
    held: HeldSignals | None = None
    sinks: list[Sink] = []
    try:
        width, height = source.info.width, source.info.height
        built = make_pipeline(
            settings,
            live=source.live,
            draw=settings.output.save or options.show,
            make_analyse=lambda labels: None if rules is None else Analytics(rules, labels, width=width, height=height),
        )
        held = HeldSignals()
        folder = new_folder(settings.output.project, settings.output.name)
        write_settings(folder, "track", source.name, settings)
        stem = safe_stem(source)
        outputs = Outputs(
            video=folder / f"{stem}.mp4" if settings.output.save else None,
            annotations={name: folder / f"{stem}.{suffix}" for name, suffix in check_formats(settings.output.format)},
        )
        tally = Tally(built.pipeline.labels)
        counting = _counting_sinks(options, settings, built.pipeline.analyse, folder / f"{stem}-events.csv")
        sinks = [*open_sinks(source, outputs), *counting, tally]
        runner = make_runner(source, built, sinks, settings)
    except BaseException:
        source.close()
        for sink in sinks:
            sink.discard()
        if held is not None:
            held.release()
        raise
    last.reported = not options.show
    try:
        if options.show:
            ended = Ended(_show(runner, source, options, held))
        else:
            ended = track_source(runner, source, settings, held)
    except BrokenPipeError:  # of the progress's reader: no fault of the run
        raise
    except Exception as error:
        raise _with_what_is_kept(error, runner, source, outputs) from error
    if settings.output.progress != "json":
        analytics = built.pipeline.analyse
        lines = rules_summary(analytics) if isinstance(analytics, Analytics) else []
        files = [*outputs.files, *([folder / f"{stem}-events.csv"] if lines else [])]
        sys.stdout.write("\n".join([*lines, table(ended.progress, tally, built.engine, files)]) + "\n")
        sys.stdout.flush()
    code = exit_code(ended.progress, source)
    if ended.interrupt is not None:
        raise ended.interrupt
    return code


def _check(options: argparse.Namespace, settings: Settings) -> None:
    """Raise ConfigError for what does not go together."""
    if options.info and settings.output.progress == "json":
        raise ConfigError("--info: prints lines on stdout, where --progress json has its own; choose one of them")
    if options.counts and not (settings.output.save or options.show):
        raise ConfigError("--count: writes onto the frames; add --save or --show, or take --info for the terminal")


def _counting_sinks(
    options: argparse.Namespace, settings: Settings, analytics: Analyse | None, events: Path
) -> list[Sink]:
    """Sinks that tell of frames and of events, where that is wanted."""
    sinks: list[Sink] = [FrameInfo()] if options.info else []
    if isinstance(analytics, Analytics):
        sinks.append(EventLog(events, analytics, quiet=settings.output.progress == "json"))
    return sinks


def _open(spec: str, settings: Settings) -> FrameSource:
    """The source, waited for where that is wanted."""
    wanted = settings.source.wait
    wait = is_address(spec) if wanted is None else wanted

    def open_it() -> FrameSource:
        source = settings.source
        return open_source(
            spec, vid_stride=source.vid_stride, rtsp_transport=source.rtsp_transport, hwaccel=source.hwaccel
        )

    opened = wait_for_source(open_it) if wait else open_it()
    return OneSize(opened) if opened.live else opened


def _with_what_is_kept(error: Exception, runner: Runner, source: FrameSource, outputs: Outputs) -> TrackerError:
    """The error that ended a run, with the source, the frame and the files that hold what came before."""
    frames = runner.progress().frames
    known = isinstance(error, TrackerError)
    log.debug("%s: the run ended", source.name, exc_info=error)
    at = frames if runner.failed_at is None else runner.failed_at
    words = str(error) if known else f"{source.name}: frame {at}: unforeseen {type(error).__name__}: {error}."
    partial = [path.with_name(path.name + PARTIAL) for path in outputs.files]
    kept = [str(path) for path in (*outputs.files, *partial) if path.is_file() and path.stat().st_size]
    if frames and kept:
        words = f"{words.rstrip('.')}. The {frames} frames before are kept in {', '.join(kept)}."
    return type(error)(words) if isinstance(error, TrackerError) else TrackerError(words)


def open_sinks(source: FrameSource, outputs: Outputs) -> list[Sink]:
    """A sink for each wanted result."""
    sinks: list[Sink] = []
    if outputs.video is not None:
        info = source.info
        sinks.append(
            VideoSink(
                outputs.video,
                rate=info.rate,
                time_base=info.time_base,
                audio_from=info.path if info.has_audio else None,
                pixel_aspect=info.pixel_aspect,
                live=source.live,
            )
        )
    sinks += [annotation_sink(name, path) for name, path in outputs.annotations.items()]
    return sinks


def track_source(runner: Runner, source: FrameSource, settings: Settings, held: HeldSignals | None = None) -> Ended:
    """Run to the end, telling the progress. Raises SourceError when not one frame could be decoded."""
    runner.start()
    ended = follow_run(runner, source, style=settings.output.progress, total=source.info.frame_count, held=held)
    if not ended.progress.frames and not source.live and ended.interrupt is None:
        raise SourceError(f"{source.name}: no frame could be decoded; the file is empty, damaged or encrypted")
    return ended


def _show(runner: Runner, source: FrameSource, options: argparse.Namespace, held: HeldSignals) -> Progress:
    runner.start()
    try:
        held.release()
        options.show_window(runner, source.name)
    finally:
        runner.stop()
    return runner.wait()


def exit_code(progress: Progress, source: FrameSource) -> int:
    """0, or 3 with a line on stderr when parts of the input could not be decoded."""
    if not progress.damage:
        return 0
    places = "1 place" if progress.damage == 1 else f"{progress.damage} places"
    sys.stderr.write(
        f"sightline: {source.name}: damaged in {places}; {progress.frames} frames were decoded and written, "
        "what lies in the damage is missing\n"
    )
    return 3
