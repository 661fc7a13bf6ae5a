"""`convolve` prints what a layer computes, with its shape and cost, and refuses what it cannot read."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.commands.refusals import refusal
from tracker.cli import main


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    assert main(["convolve", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


def test_the_lectures_example_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, "3x3", "--kernel", "0 1; 2 3")
    assert lines[:3] == ["19 25", "37 43", "3 x 3 -> 2 x 2  (height x width)"]
    padded = printed(capsys, "0 1 2; 3 4 5; 6 7 8", "--kernel", "0 1; 2 3", "--padding", "1")
    assert [line.split() for line in padded[:4]] == [
        ["0", "3", "8", "4"],
        ["9", "19", "25", "10"],
        ["21", "37", "43", "16"],
        ["6", "7", "8", "0"],
    ]
    assert printed(capsys, "3x3", "--layer", "max", "--stride", "1")[:2] == ["4 5", "7 8"]
    assert printed(capsys, "3x3", "--layer", "average", "--size", "0")[0] == "4"


def test_letters_are_written_out(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, "3x4", "--kernel", "a b c; d e f")
    assert lines[0] == "(0, 0)  0·a + 1·b + 2·c + 4·d + 5·e + 6·f"
    assert lines[-1] == "(1, 1)  5·a + 6·b + 7·c + 9·d + 10·e + 11·f"
    flipped = printed(capsys, "a b; c d", "--kernel", "w x; y z", "--layer", "convolution")
    assert flipped == ["(0, 0)  a·z + b·y + c·x + d·w"]


def test_the_cost_stands_beside_that_of_a_dense_layer(capsys: pytest.CaptureFixture[str]) -> None:
    text = "\n".join(printed(capsys, "280x320", "--kernel", "edge"))
    assert "2 weights, 267,960 operations" in text
    assert "8,003,072,000 weights" in text
    assert "separable: column" in "\n".join(printed(capsys, "5x5", "--kernel", "gaussian"))


def test_sum_matrix_and_transform_give_the_same_rows(capsys: pytest.CaptureFixture[str]) -> None:
    example = ("3x3", "--kernel", "0 1; 2 3", "--layer", "convolution")
    full = printed(capsys, *example, "--padding", "full")[:4]
    assert printed(capsys, *example, "--by", "fft")[:4] == full
    matrix = printed(capsys, *example, "--by", "matrix")
    assert matrix[17:21] == full
    assert len(matrix[0].split()) == 9


def test_an_image_goes_through_channel_by_channel(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "in.png"), image)
    out = tmp_path / "new folder" / "out.png"
    printed(capsys, str(tmp_path / "in.png"), "--kernel", "identity", "--padding", "same", "--out", str(out))
    np.testing.assert_array_equal(cv2.imread(str(out)), image)
    grey = tmp_path / "grey.png"
    printed(capsys, str(tmp_path / "in.png"), "--layer", "pointwise", "--kernel", "1 0 0", "--out", str(grey))
    assert cv2.imread(str(grey), cv2.IMREAD_UNCHANGED).shape == (20, 30)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["3x3", "--kernel", "sobel"], "neither a number, nor a letter"),
        (["3x3", "--kernel", "0 1; 2"], "rows of one length"),
        (["missing.png"], "no such file"),
        (["2x2", "--kernel", "sharpen"], "does not fit into 2 x 2"),
        (["3x3", "--stride", "a"], "expected a number of steps"),
        (["3x3", "--by", "fft"], "for --layer convolution"),
        (["3x3", "--layer", "local", "--kernel", "0 1; 2 3"], "expected 4 kernels"),
        (["3x3", "--layer", "tiled", "--kernel", "0 1; 2 3 | 1 2; 3 4"], "expected 1, 4, 9"),
        (["3x3", "--layer", "pointwise", "--kernel", "1 2"], "expected 1 weights a row"),
        (["3x3", "--kernel", "0 1", "--padding", "wide"], "expected valid, same, full"),
    ],
)
def test_what_is_not_understood_is_said_in_one_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in refusal(["convolve", *arguments], capsys)
