"""`annotate`: whole archives into stores and annotation files, going on where an earlier run stopped."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from tracker.analytics import rules
from tracker.annotate.across import PROJECT
from tracker.annotate.plan import AnnotateRequest, make_plan, network_identity, settled
from tracker.annotate.recordings import RecordingJob, find_jobs
from tracker.annotate.recount import read_rules
from tracker.annotate.run import FileReport
from tracker.annotate.summary import exit_code, summary_table, write_summary
from tracker.annotate.workers import Listener, WorkerProgress, annotate_all
from tracker.commands.across import find_across
from tracker.commands.command_parser import comma_list
from tracker.commands.options import (
    add_detector_options,
    add_semantic_options,
    add_settings_options,
    add_source_options,
    add_tracking_options,
    settings_from,
)
from tracker.commands.outputs import own_folder
from tracker.commands.progress import LastLine
from tracker.commands.recording_files import find_recordings
from tracker.errors import ConfigError, TrackerError
from tracker.formats import FORMATS, find_format

__all__ = ["add_parsers"]

SUMMARY = "summary.json"


def add_parsers(subparsers: Any) -> None:
    """Add `annotate`."""
    parser = subparsers.add_parser(
        "annotate",
        help="annotate whole archives",
        description=__doc__,
        epilog=f"FILE.toml of --rules: {rules.__doc__}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="video, folder of videos, folder of images")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for all results")
    parser.add_argument(
        "--format", type=comma_list, metavar="A,B", help=f"annotation files to write: {', '.join(FORMATS)}"
    )
    refine = "go over each finished recording once more: link fragments, fill gaps, smooth (default on)"
    parser.add_argument("--refine", action=argparse.BooleanOptionalAction, default=True, help=refine)
    parser.add_argument(
        "--save", action=argparse.BooleanOptionalAction, default=None, help="write annotated videos too"
    )
    parser.add_argument("--rules", type=Path, metavar="FILE.toml", help="lines and zones to count at")
    across = "join the tracks of all recordings that are one person or vehicle, as the command across does"
    parser.add_argument("--across", action="store_true", help=across)
    parser.add_argument("--recursive", action="store_true", help="look into subfolders too")
    parser.add_argument("--workers", type=int, default=1, metavar="N", help="recordings in work at a time")
    engine = "where the work is done: processes of this machine, or a Ray cluster"
    parser.add_argument("--engine", choices=("local", "ray"), default="local", help=engine)
    parser.add_argument(
        "--ray-address", metavar="ADDRESS", help="running cluster to join, such as auto; else a new one"
    )
    parser.add_argument("--overwrite", action="store_true", help="begin anew, corrections made by hand are lost")
    parser.add_argument("--dry-run", action="store_true", help="tell what would be done, and do nothing")
    add_detector_options(parser)
    add_semantic_options(parser)
    add_source_options(parser)
    add_tracking_options(parser)
    add_settings_options(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    with LastLine(options, files=0, files_left=0, failed=0) as last:
        return _annotate_paths(options, last)


def _annotate_paths(options: argparse.Namespace, last: LastLine) -> int:
    request = orders_from(options)
    last.style = request.settings.output.progress
    if options.workers < 1:
        raise ConfigError(f"--workers {options.workers}: expected 1 or more")
    jobs = find_jobs(options.paths, options.out, recursive=options.recursive)
    if options.ray_address is not None and options.engine != "ray":
        raise ConfigError("--ray-address is for --engine ray")
    if options.across and len(jobs) < 2:
        raise ConfigError("--across: joins the tracks of two recordings or more")
    if options.dry_run:
        return _tell_plans(jobs, request)
    own_folder(options.out)
    started = time.perf_counter()
    last.reported = True
    display = _display(request.settings.output.progress, jobs, options.workers)

    ended: list[FileReport] = []

    def listen(message: WorkerProgress | FileReport | None) -> None:
        display.hear(message)
        if isinstance(message, FileReport):
            ended.append(message)
        if isinstance(message, FileReport) and message.status == "failed":
            tqdm.write(f"sightline: {message.name}: {message.note}", file=sys.stderr)

    try:
        with logging_redirect_tqdm():
            reports = _annotate(jobs, request, options, listen)
    except KeyboardInterrupt:
        if request.settings.output.progress != "json":
            display.close()
            sys.stdout.write(summary_table(ended, time.perf_counter() - started) + "\n" if ended else "")
            left = len(jobs) - len(ended)
            sys.stdout.write(f"{left} of {len(jobs)} recordings are left; the same command goes on where it stopped\n")
            sys.stdout.flush()
        raise
    finally:
        display.close()
    seconds = time.perf_counter() - started
    if request.settings.output.progress != "json":
        sys.stdout.write(summary_table(reports, seconds) + "\n")
    write_summary(options.out / SUMMARY, reports, seconds)
    if options.across:
        _join_across(options, [job.store for job in jobs if job.store.is_file()])
    return exit_code(reports)


def _join_across(options: argparse.Namespace, stores: Sequence[Path]) -> None:
    """Find the identities of all recordings that there are now."""
    if len(stores) < 2:
        raise ConfigError("--across: fewer than two recordings were made; see above why")
    options.videos = None
    said = find_across(options, find_recordings(stores), {}, options.out / PROJECT)
    if options.progress != "json":
        sys.stdout.write(said + "\n")


def _annotate(
    jobs: Sequence[RecordingJob], request: AnnotateRequest, options: argparse.Namespace, listen: Listener
) -> list[FileReport]:
    if options.engine == "local":
        return annotate_all(jobs, request, workers=options.workers, listen=listen)
    from tracker.annotate.ray import annotate_on_cluster

    return annotate_on_cluster(jobs, request, workers=options.workers, address=options.ray_address, listen=listen)


def orders_from(options: argparse.Namespace) -> AnnotateRequest:
    """What the command line wants of every recording. Raises ConfigError for what does not exist or fit together."""
    settings = settings_from(options)
    for name in settings.output.format:
        find_format(name)
    if settings.output.save and settings.overlay.blur_classes:
        raise ConfigError(
            "--save with overlay.blur_classes: the video is drawn from the recording, which leaves out what the "
            "tracker was not sure of, so some would stay visible. Use `track --save` for videos with hidden classes."
        )
    rules_text = read_rules(options.rules) if options.rules is not None else ""
    return AnnotateRequest(settings, refine=options.refine, rules=rules_text, overwrite=options.overwrite)


def _tell_plans(jobs: Sequence[RecordingJob], request: AnnotateRequest) -> int:
    failed = 0
    for job in jobs:
        try:
            order = settled(job, request)
            plan = make_plan(job, order, network_identity(order.settings.detector))
            line = f"{plan.action}: {plan.reason}"
        except TrackerError as error:
            failed += 1
            line = f"fail: {error}"
        sys.stdout.write(f"{job.name}  {line}\n")
    return 0 if not failed else 2 if failed == len(jobs) else 3


def _display(style: str, jobs: Sequence[RecordingJob], workers: int) -> Any:
    return _Bars(jobs, workers) if style == "bar" else _JsonLines(jobs) if style == "json" else _Nothing()


class _Nothing:
    def hear(self, message: WorkerProgress | FileReport | None) -> None:
        """Say nothing."""

    def close(self) -> None:
        """Nothing to take away."""


class _Bars:
    """One bar over all recordings, and one for each worker."""

    def __init__(self, jobs: Sequence[RecordingJob], workers: int) -> None:
        quiet = not sys.stderr.isatty()
        self._all = tqdm(total=len(jobs), desc="all", unit=" files", dynamic_ncols=True, leave=False, disable=quiet)
        self._bars = [
            tqdm(position=1 + row, unit=" frames", dynamic_ncols=True, leave=False, disable=quiet)
            for row in range(min(workers, len(jobs)))
        ]
        self._at: list[tuple[str, str]] = [("", "")] * len(self._bars)

    def hear(self, message: WorkerProgress | FileReport | None) -> None:
        if isinstance(message, FileReport):
            self._all.update(1)
        elif message is not None:
            bar = self._bars[message.worker]
            if self._at[message.worker] != (message.name, message.stage):
                self._at[message.worker] = (message.name, message.stage)
                bar.reset(total=message.total)
                bar.set_description_str(
                    message.name if message.stage == "reading" else f"{message.name} ({message.stage})"
                )
            bar.update(message.done - bar.n)

    def close(self) -> None:
        for bar in (*reversed(self._bars), self._all):
            bar.close()


class _JsonLines:
    """One object a line, for programs."""

    def __init__(self, jobs: Sequence[RecordingJob]) -> None:
        self._files = self._left = len(jobs)
        self._failed = 0

    def hear(self, message: WorkerProgress | FileReport | None) -> None:
        if message is None:
            return
        if isinstance(message, FileReport):
            self._left -= 1
            self._failed += message.status == "failed"
            row = {"file": message.name, "status": message.status, "note": message.note, "frames": message.frames}
            row["files_left"] = self._left
        else:
            row = {"file": message.name, "worker": message.worker, "stage": message.stage, "frames": message.done}
            row["total"] = message.total
        self._print(row)

    def close(self) -> None:
        """The last line: how many recordings there are, are left and failed, also after Ctrl-C."""
        self._print({"files": self._files, "files_left": self._left, "failed": self._failed}, done=True)

    @staticmethod
    def _print(row: dict[str, Any], *, done: bool = False) -> None:
        line = {"time": round(time.time(), 3), **row, "done": done}
        sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
        sys.stdout.flush()
