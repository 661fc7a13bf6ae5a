"""The page that looks inside, in the real window."""

from __future__ import annotations

import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from gui.canvas.hit_testing import Shape
from gui.inside.inside_page import InsidePage
from gui.inside.views import KERNELS, KernelQuestion, Opener, Shown
from gui.window import Window
from tests.gui.conftest import App
from tracker.commands.demo_clip import frames
from tracker.types import Image


@pytest.fixture
def still(tmp_path: Path) -> Path:
    image = np.full((96, 128, 3), 60, np.uint8)
    image[30:70, 40:90] = (200, 40, 40)
    cv2.imwrite(str(tmp_path / "still.png"), image)
    return tmp_path / "still.png"


def opened(app: App, still: Path) -> tuple[Window, InsidePage]:
    """The window with the page in front and an image in it."""
    window = app.start()
    window.commands["page.inside"].trigger()
    page = window.inside
    assert window.page is page
    page.open_image(str(still))
    app.until(lambda: page.shown is not None and page.network.count())
    return window, page


def answer(app: App, page: InsidePage) -> str:
    """The words of the answer to what the controls say now."""
    app.until(lambda: not page.busy)
    page.shown = None
    page.ask()
    app.until(lambda: page.shown is not None and not page.busy)
    assert page.shown is not None
    return page.shown.words


def test_a_kernel_filters_as_a_convolution_layer_does() -> None:
    image = np.random.default_rng(0).integers(0, 255, (12, 16, 3), np.uint8)
    same = KernelQuestion(KERNELS["identity"]).answer(image, Opener()).image
    np.testing.assert_array_equal(same, np.concatenate((image, image), axis=1))
    numbers = tuple(float(value) for value in range(1, 10))
    summed = KernelQuestion(tuple(value / 45 for value in numbers)).answer(image, Opener()).image[:, 16:]
    window = image[3:6, 4:7].astype(float)
    expected = (window * np.array(numbers).reshape(3, 3, 1)).sum(axis=(0, 1)) / 45
    np.testing.assert_allclose(summed[4, 5], np.floor(expected), atol=1)


def test_blurring_again_and_again_leaves_less_to_see() -> None:
    image = np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)
    once, often = (KernelQuestion(KERNELS["blur"], times).answer(image, Opener()).image[:, 40:] for times in (1, 8))
    assert often.std() < once.std() < image.std()


def test_the_kernel_can_be_edited(app: App, still: Path) -> None:
    _, page = opened(app, still)
    assert "sum of the kernel 1;" in answer(app, page)
    page.kernel.choose("edges")
    assert "sum of the kernel 0;" in answer(app, page)
    page.kernel.numbers[4].setValue(10)
    assert page.kernel.named.currentText() not in KERNELS
    assert "sum of the kernel 2;" in answer(app, page)


def test_the_maps_of_each_layer_are_shown(app: App, still: Path) -> None:
    _, page = opened(app, still)
    page.tabs.setCurrentIndex(1)
    answer(app, page)
    app.until(lambda: page.layer.count() > 20)
    assert page.layer.itemText(0) == "backbone.stem.conv"
    place = page.layer.findText("backbone.stages.2.0.0.conv")
    page.layer.setCurrentIndex(place if place >= 0 else 5)
    words = answer(app, page)
    assert words.startswith(page.layer.currentText())
    assert "channels of" in words


def test_the_sliders_choose_what_is_proposed_and_what_is_suppressed(app: App, still: Path) -> None:
    _, page = opened(app, still)
    page.take(next(iter(frames())).image)
    page.tabs.setCurrentIndex(2)
    page.conf.set_value(0.02)
    page.suppress.setChecked(False)
    everything = answer(app, page)
    page.suppress.setChecked(True)
    page.iou.set_value(0.3)
    page.stride.setCurrentIndex(2)
    page.anchors.setChecked(True)
    fewer = answer(app, page)
    assert everything.split(" boxes")[0] == fewer.split(" boxes")[0]
    assert count(fewer) < count(everything)
    page.conf.set_value(0.95)
    assert count(answer(app, page)) <= count(fewer)


def count(words: str) -> int:
    """How many boxes are shown."""
    return int(words.split(" shown")[0].rsplit(" ", 1)[1])


def test_frames_of_the_recording_are_followed(finished: App, clip: Path) -> None:
    window = finished.start()
    recording = finished.open_finished(window, clip)
    window.show_page(window.inside)
    page = window.inside
    finished.until(lambda: page.shown is not None)
    first = page.shown
    finished.show(recording, 90)
    finished.until(lambda: page.shown is not first)
    assert first is not None
    assert page.shown is not None
    assert first.image.shape == page.shown.image.shape


def test_an_answer_that_takes_long_is_announced(app: App, still: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, page = opened(app, still)
    app.until(lambda: not page.busy)
    release, quick = threading.Event(), KernelQuestion.answer

    def slow(question: KernelQuestion, image: Image, opener: Opener) -> Shown:
        release.wait(30)
        return quick(question, image, opener)

    monkeypatch.setattr(KernelQuestion, "answer", slow)
    page.ask()
    app.until(lambda: page._words.text().startswith("Working"))
    release.set()
    app.until(lambda: not page.busy)
    assert "sum of the kernel" in page._words.text()


def test_what_is_no_image_is_said(app: App, tmp_path: Path) -> None:
    window = app.start()
    window.show_page(window.inside)
    (tmp_path / "words.png").write_text("no image")
    window.inside.open_image(str(tmp_path / "words.png"))
    bar = window.statusBar()
    assert bar is not None
    assert "words.png" in bar.currentMessage()


def test_no_frame_is_looked_into_while_something_in_it_is_hidden(finished: App, clip: Path, still: Path) -> None:
    window = finished.start()
    recording = finished.open_finished(window, clip)
    window.show_page(window.inside)
    page = window.inside
    finished.until(lambda: page.shown is not None and page.view.shows)
    window.engine.change("overlay.blur_classes", ["person"])
    finished.until(lambda: not page.view.shows)
    assert "hidden" in page._words.text()
    page.ask()
    finished.show(recording, 90)
    finished.until(lambda: not page.busy)
    assert not page.view.shows
    page.open_image(str(still))
    finished.until(lambda: page.view.shows)
    page._follow.setChecked(True)
    window.engine.change("overlay.blur_classes", [])
    shown = page.shown
    finished.until(lambda: page.shown is not shown)
    recording.use_shapes([Shape("blur", "hidden 1", ((10.0, 10.0), (60.0, 60.0)))])
    finished.until(lambda: not page.view.shows)
    recording.use_shapes([])
    finished.until(lambda: page.view.shows)


def test_an_answer_about_a_frame_that_was_hidden_meanwhile_is_not_shown(
    finished: App, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, quick = threading.Event(), KernelQuestion.answer

    def slow(question: KernelQuestion, image: Image, opener: Opener) -> Shown:
        release.wait(30)
        return quick(question, image, opener)

    monkeypatch.setattr(KernelQuestion, "answer", slow)
    window = finished.start()
    finished.open_finished(window, clip)
    window.show_page(window.inside)
    finished.until(lambda: window.inside.busy)
    window.engine.change("overlay.blur_classes", ["person"])
    release.set()
    finished.until(lambda: not window.inside.busy)
    assert not window.inside.view.shows
