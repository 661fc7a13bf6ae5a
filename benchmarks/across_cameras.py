"""How many identities are joined across cameras: one video's true tracks split into made-up cameras.

`python -m benchmarks.across_cameras [--shared ../shared/data] [--sequences]`

vtest.avi with the truth of MOT15's PETS09-S2L1 is split into two cameras by time, by image half, into three by image
third and into four by both, each visit of a person to a camera a track of its own; four views of each go through the
network that comes with the program. With `--sequences` also the MOT15, MOT17 and KITTI sequences, which have no images:
their appearance is made up from the truth (reference.tar.xz), in one row of a wrong object where boxes meet, in the
next without such views.

Joined is the fraction of identities in two cameras or more that share a group with themselves in all of these;
precision is that of joined pairs of tracks of different cameras.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np

from tests.archives import unpack
from tracker.annotate.appearance import choose_views, describe_tracks
from tracker.annotate.identities import Identities, Member, Track, find_identities
from tracker.annotate.recordings import fingerprint
from tracker.config import TrackerConfig
from tracker.detect.reid_embedder import CropEmbedder
from tracker.evaluate.mot_files import MotRows, find_sequences, read_rows
from tracker.factory import reid_network
from tracker.geometry import iou
from tracker.observations import Observations
from tracker.store import Recording, RecordingInfo, RecordingWriter

Split: TypeAlias = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Frames as fractions of all and centres as fractions of the width, to cameras from 0; -1 for none."""
SPLITS: dict[str, Split] = {
    "time, 2": lambda times, _: (times >= 0.5) * 1,
    "image half, 2": lambda _, places: (places >= 0.5) * 1,
    "image third, 3": lambda _, places: np.minimum((places * 3).astype(int), 2),
    "half and time, 4": lambda times, places: (places >= 0.5) * 1 + (times >= 0.5) * 2,
}
SCALE = 0.625
"""vtest.avi beside the truth's pixels."""
RATE = 10.0
LEAST_ROWS = 5
"""Of a visit: less is a box at the border."""


def visits(truth: MotRows, cameras: np.ndarray, gap: int) -> Iterator[tuple[int, int, np.ndarray]]:
    """Identity, camera and rows of each stay of somebody in a camera, cut where it is interrupted for long."""
    for identity in np.unique(truth.ids).tolist():
        rows = np.flatnonzero(truth.ids == identity)
        cuts = (np.diff(cameras[rows]) != 0) | (np.diff(truth.frames[rows]) > gap)
        for part in np.split(rows, np.flatnonzero(cuts) + 1):
            if len(part) >= LEAST_ROWS and cameras[part[0]] >= 0:
                yield identity, int(cameras[part[0]]), part


def judge(found: Identities, owners: dict[Member, int]) -> tuple[int, int, int, int]:
    """Identities joined, identities in two cameras or more, right pairs joined, pairs joined; across cameras."""
    cameras = defaultdict(set)
    for member, owner in owners.items():
        cameras[owner].add(member.camera)
    joined: dict[int, set[int]] = defaultdict(set)
    right = pairs = 0
    for group in found.groups:
        for one, other in itertools.combinations(group, 2):
            if one.camera != other.camera:
                pairs += 1
                if owners[one] == owners[other]:
                    right += 1
                    joined[owners[one]] |= {one.camera, other.camera}
    several = [owner for owner, where in cameras.items() if len(where) > 1]
    return sum(joined[owner] == cameras[owner] for owner in several), len(several), right, pairs


def record_visits(
    stays: Sequence[tuple[int, int, np.ndarray]],
    truth: MotRows,
    camera: int,
    info: RecordingInfo,
    path: Path,
    *,
    rate: float,
    scale: float = 1.0,
) -> list[tuple[int, np.ndarray]]:
    """Writes the recording of one camera, each stay a track called by its place in `stays`; these and their rows."""
    own = [(number, rows) for number, (_, place, rows) in enumerate(stays, 1) if place == camera]
    writer = RecordingWriter.create(path, info)
    rows = np.concatenate([rows for _, rows in own])
    names = np.concatenate([np.full(len(rows), number) for number, rows in own])
    for frame in range(int(truth.frames.max())):
        here = np.flatnonzero(truth.frames[rows] == frame + 1)
        here = here[names[here].argsort()]
        boxes, ids = truth.boxes[rows[here]] * scale, names[here]
        seen = Observations.rounded(frame, tracks=ids, class_ids=ids * 0, scores=ids * 0 + 1.0, boxes=boxes)
        writer.add(frame, frame / rate, seen)
    writer.commit({})
    writer.complete_with(None)
    writer.close()
    return own


def vtest_tracks(shared: Path, truth: MotRows, split: Split, folder: Path) -> tuple[list[Track], dict[Member, int]]:
    """The tracks of each camera as recordings hold them, described as any recording is."""
    video = shared / "video" / "vtest.avi"
    capture = cv2.VideoCapture(str(video))
    width, height = int(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
    x1, _, x2, _ = truth.boxes.T * SCALE
    cameras = split((truth.frames - 1) / truth.frames.max(), (x1 + x2) / 2 / width)
    owners: dict[Member, int] = {}
    tracks = []
    stays = list(visits(truth, cameras, gap=round(RATE)))
    network = reid_network(TrackerConfig())
    embed = CropEmbedder(network)
    size, digest = fingerprint(video)
    info = RecordingInfo({"path": str(video), "size": size, "digest": digest}, width, height, ("person",))
    for camera in sorted({camera for _, camera, _ in stays}):
        path = folder / f"camera{camera}.sqlite"
        recorded = record_visits(stays, truth, camera, info, path, rate=RATE, scale=SCALE)
        views = describe_tracks(path, network.stem, embed)
        for number, rows in recorded:
            owners[Member(camera, number)] = stays[number - 1][0]
            first, last = ((truth.frames[rows[[0, -1]]] - 1) / RATE).tolist()
            vectors = views.vectors[views.tracks == number]
            tracks.append(Track(Member(camera, number), first, last, "person", vectors))
    return tracks, owners


def made_up_tracks(
    sequence: Path, features: Path, split: Split, rate: float, folder: Path, *, own: bool
) -> tuple[list[Track], dict[Member, int]]:
    """The same of a sequence without images: views chosen as of any recording, each with the made-up vector of the
    detection that overlaps it most; of its `own` only those that overlap nobody else more.
    """
    truth, found = read_rows(sequence / "gt/gt.txt"), read_rows(sequence / "det/det.txt")
    with np.load(features, allow_pickle=False) as stored:
        vectors = stored[stored.files[0]].astype(np.float32)
    counted = np.flatnonzero((truth.scores > 0) & (truth.class_ids == 1))
    truth = MotRows(
        truth.frames[counted],
        truth.ids[counted],
        truth.boxes[counted],
        truth.scores[counted],
        truth.class_ids[counted],
        truth.columns,
    )
    x1, _, x2, y2 = truth.boxes.T
    width, height = int(np.ceil(x2.max())), int(np.ceil(y2.max()))
    cameras = split((truth.frames - 1) / truth.frames.max(), np.clip((x1 + x2) / 2 / width, 0, 1))
    tracks, owners = [], {}
    stays = list(visits(truth, cameras, gap=round(rate)))
    info = RecordingInfo({"path": sequence.name, "size": 0, "digest": ""}, width, height, ("object",))
    for camera in sorted({camera for _, camera, _ in stays}):
        path = folder / f"{sequence.name}-camera{camera}.sqlite"
        recorded = record_visits(stays, truth, camera, info, path, rate=rate)
        views = defaultdict(list)
        with Recording(path) as recording:
            for frame, choices in choose_views(recording, without=set()).items():
                near = np.flatnonzero(found.frames == frame + 1)
                present = np.flatnonzero(truth.frames == frame + 1)
                overlaps = iou(truth.boxes[present], found.boxes[near])
                for choice in choices if len(near) else ():
                    row = int((truth.ids[present] == stays[choice.track - 1][0]).argmax())
                    best = int(overlaps[row].argmax())
                    if overlaps[row, best] > 0.5 and (not own or overlaps[:, best].argmax() == row):
                        views[choice.track].append(vectors[near[best]])
        for number, rows in recorded:
            if number in views:
                owners[Member(camera, number)] = stays[number - 1][0]
                first, last = ((truth.frames[rows[[0, -1]]] - 1) / rate).tolist()
                tracks.append(Track(Member(camera, number), first, last, "object", np.stack(views[number])))
    return tracks, owners


def _line(name: str, split: str, results: Sequence[tuple[int, int, int, int]]) -> str:
    joined, several, right, pairs = np.sum(results, axis=0)
    recall, precision = 100 * joined / max(several, 1), 100 * right / max(pairs, 1)
    return f"{name:14} {split:18} {recall:6.1f} % of {several:4} identities joined, precision {precision:6.1f} %"


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--sequences", action="store_true", help="the MOT and KITTI sequences too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for archive in ("mot", "reference"):
            unpack(options.shared / "tracking" / f"{archive}.tar.xz", folder / archive)
        truth = read_rows(next(folder.rglob("PETS09-S2L1/gt/gt.txt")))
        for split, rule in SPLITS.items():
            tracks, owners = vtest_tracks(options.shared, truth, rule, folder)
            print(_line("vtest.avi", split, [judge(find_identities(tracks), owners)]))
        for group in ("MOT15", "MOT17", "KITTI-Car") if options.sequences else ():
            for (split, rule), own in itertools.product(SPLITS.items(), (False, True)):
                results = []
                for sequence in find_sequences(next(folder.rglob(group)), "gt/gt.txt"):
                    features = next(folder.glob(f"reference/**/features/{group}/{sequence.folder.name}.npz"))
                    tracks, owners = made_up_tracks(
                        sequence.folder, features, rule, sequence.frame_rate, folder, own=own
                    )
                    results.append(judge(find_identities(tracks), owners))
                print(_line(f"{group}, own" if own else group, split, results))


if __name__ == "__main__":
    _main()
