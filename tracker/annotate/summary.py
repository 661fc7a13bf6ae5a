"""What became of all recordings: as a table for people, as summary.json for programs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tracker.annotate.run import FileReport
from tracker.formats.core.atomic import AtomicText
from tracker.lock import alone

__all__ = ["exit_code", "summary_table", "write_summary"]

LONGEST_NAME = 48


def write_summary(path: Path, reports: Sequence[FileReport], seconds: float) -> None:
    """Write every recording's report and the totals as JSON."""
    with alone(path.with_name(path.name + ".lock"), str(path)), AtomicText(path) as file:
        tree = {"totals": _totals(reports, seconds), "files": [_mapping(report) for report in reports]}
        file.write(json.dumps(tree, ensure_ascii=False, indent=2) + "\n")


def summary_table(reports: Sequence[FileReport], seconds: float) -> str:
    """One line a recording, the totals, and why recordings failed."""
    width = min(LONGEST_NAME, max([len(report.name) for report in reports] + [4]))
    lines = [f"{'file':{width}}  {'status':7}  {'frames':>8}  {'frames/s':>8}  {'tracks':>7}  note"]
    for report in reports:
        name = report.name if len(report.name) <= width else "…" + report.name[1 - width :]
        rate = f"{report.frames_now / report.seconds:.1f}" if report.frames_now and report.seconds else "-"
        damage = f"damaged in {report.damage} places" if report.damage else ""
        note = "; ".join(filter(None, (report.note, damage)))
        lines.append(
            f"{name:{width}}  {report.status:7}  {report.frames:8}  {rate:>8}  {report.tracks:7}  {note}".rstrip()
        )
    totals = _totals(reports, seconds)
    counts = ", ".join(f"{totals[status]} {status}" for status in ("done", "skipped", "failed") if totals[status])
    rate = f": {totals['frames_now']} frames in {seconds:.1f} s, {totals['frames_per_second']:.1f} frames/s"
    lines.append(counts + (rate if totals["frames_now"] else ""))
    return "\n".join(lines)


def exit_code(reports: Sequence[FileReport]) -> int:
    """0 all went well; 3 some recordings failed or were damaged; 2 not one could be annotated."""
    failed = [report for report in reports if report.status == "failed"]
    if len(failed) == len(reports):
        return 2
    return 3 if failed or any(report.damage for report in reports) else 0


def _totals(reports: Sequence[FileReport], seconds: float) -> dict[str, Any]:
    statuses = Counter(report.status for report in reports)
    frames_now = sum(report.frames_now for report in reports)
    return {
        "files": len(reports),
        **{status: statuses[status] for status in ("done", "skipped", "failed")},
        "frames": sum(report.frames for report in reports),
        "frames_now": frames_now,
        "tracks": sum(report.tracks for report in reports),
        "seconds": round(seconds, 3),
        "frames_per_second": round(frames_now / seconds, 2) if seconds else 0.0,
    }


def _mapping(report: FileReport) -> dict[str, Any]:
    tree = asdict(report)
    tree["outputs"] = list(report.outputs)
    tree["frames_per_second"] = round(report.frames_now / report.seconds, 2) if report.seconds else 0.0
    return tree
