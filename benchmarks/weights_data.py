"""The images that the embedded networks are trained on and judged by, with the numbers of COCO's 80 classes.

`python -m benchmarks.weights_data SOURCE OUT`: unpacks the sets at SOURCE (the tar files that weights/README.md names)
below OUT and writes train.txt, val.txt and final.txt there. Images that look alike (difference hash, the mirrored image
too) go to one split together, and the overhead roads, which show a handful of scenes, are split by scene; `final` is
looked at once, when everything else is decided.
"""

from __future__ import annotations

import argparse
import hashlib
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8
from numpy import ndarray

from tests.archives import unpack

COCO_NUMBERS = {0: 0, 1: 1, 2: 2, 3: 3, 4: 5, 5: 7, 6: 80}
"""From the numbers of the sets (person, bicycle, car, motorcycle, bus, truck, some vehicle) to COCO's and one group."""
RELABELLED = "coco-people-relabelled.tar.xz"
ALIKE = {"roads-overhead": 14, "people-mixed": 10}
"""Bits of 64 in which images of one scene differ at most; 8 elsewhere."""
SHARES = (("final", 0.04), ("val", 0.12))
LARGEST = 0.3
"""A group of more than this share of its set is trained on."""


def main() -> None:
    """Unpack, renumber, split."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, help="folder with the sets as .tar files")
    parser.add_argument("out", type=Path, help="where they are unpacked")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    archives = sorted(options.source.glob("*.tar"))
    if not archives:
        parser.error(f"{options.source}: no .tar files there; give the folder that holds coco-people.tar")
    for archive in (*archives, *options.source.glob(RELABELLED)):
        unpack(archive, options.out)
    lists: dict[str, list[str]] = defaultdict(list)
    for folder in sorted(path.parent for path in options.out.glob("*/images")):
        renumber(folder)
        images = sorted((folder / "images").glob("*.jpg"))
        for split, members in share_out(images, groups_of(images, alike=ALIKE.get(folder.name, 8))).items():
            lists[split] += [str(image.relative_to(options.out)) for image in members]
            print(f"{folder.name:20} {split:6} {len(members):5}")
    for split, names in lists.items():
        (options.out / f"{split}.txt").write_text("\n".join(names) + "\n")


def renumber(folder: Path) -> None:
    """Give the labels COCO's numbers; a set that was labelled again in these takes the new labels."""
    anew = folder / "labels80"
    for file in sorted((folder / "labels").glob("*.txt")):
        if (anew / file.name).is_file():
            file.write_text((anew / file.name).read_text())
            continue
        rows = [line.split() for line in file.read_text().splitlines() if line.strip()]
        file.write_text("".join(f"{COCO_NUMBERS[int(row[0])]} {' '.join(row[1:])}\n" for row in rows))


def hashed(image: UInt8[ndarray, "h w 3"]) -> UInt8[ndarray, " 64"]:
    """Where brightness rises from left to right on an 8 x 9 copy: much the same for images that look alike."""
    small = cv2.resize(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), (9, 8), interpolation=cv2.INTER_AREA).astype(int)
    bits: ndarray = (small[:, 1:] > small[:, :-1]).ravel().astype(np.uint8)
    return bits


def groups_of(images: list[Path], *, alike: int) -> list[int]:
    """The number of the group that each image belongs to: linked by images that differ in at most `alike` bits."""
    read = [np.asarray(cv2.imread(str(path)), np.uint8) for path in images]
    plain = np.array([hashed(image) for image in read], np.int32)
    turned = np.array([hashed(image[:, ::-1]) for image in read], np.int32)
    group = list(range(len(images)))

    def find(row: int) -> int:
        while group[row] != row:
            group[row] = group[group[row]]
            row = group[row]
        return row

    for row in range(len(images)):
        apart = np.minimum((plain[row] != plain[:row]).sum(axis=1), (plain[row] != turned[:row]).sum(axis=1))
        for other in np.flatnonzero(apart <= alike).tolist():
            group[find(row)] = find(other)
    return [find(row) for row in range(len(images))]


def share_out(images: list[Path], groups: list[int]) -> dict[str, list[Path]]:
    """Whole groups to `final` and `val`, in an order that a hash of their names decides, until each has its share."""
    members: dict[int, list[Path]] = defaultdict(list)
    for image, number in zip(images, groups, strict=True):
        members[number].append(image)
    order = sorted(members.values(), key=lambda own: hashlib.sha256(own[0].name.encode()).hexdigest())
    result: dict[str, list[Path]] = {"train": [], "val": [], "final": []}
    for own in order:
        open_for = (
            split
            for split, share in SHARES
            if len(own) <= LARGEST * len(images) and len(result[split]) + len(own) <= share * len(images) * 1.1
        )
        result[next(open_for, "train")] += own
    return result


if __name__ == "__main__":
    main()
