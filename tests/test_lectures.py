"""The lectures hold: their numbers are recomputed, shown commands run, their images are those of the script."""

from __future__ import annotations

import doctest
import json
import re
import shlex
from pathlib import Path

import pytest
import yaml

import main
from benchmarks.lecture_experiments import BEGIN, END, EXPERIMENTS, digits, table, train_trial
from benchmarks.lectures import DRAWINGS

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "lectures"
PAGES = sorted(path for path in FOLDER.glob("*.md") if path.stem != "index")
CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LONGEST_IDEA, LARGEST_IMAGE = 12, 100_000
"""Lines, and bytes."""


def texts() -> dict[str, str]:
    return {path.stem: path.read_text(encoding="utf-8") for path in PAGES}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_numbers_of_a_page_come_out_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    text = path.read_text(encoding="utf-8")
    for block in re.findall(r"^```pycon\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        test = doctest.DocTestParser().get_doctest(block, {}, path.name, str(path), 0)
        failed: list[str] = []
        doctest.DocTestRunner(verbose=False).run(test, out=failed.append)
        assert not failed, "".join(failed)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_commands_whose_output_is_shown_give_it(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for block in CONSOLE.findall(path.read_text(encoding="utf-8")):
        for part in re.split(r"^\$ python main\.py ", block, flags=re.MULTILINE)[1:]:
            command, _, expected = part.partition("\n")
            assert main.main(shlex.split(command)) == 0
            assert capsys.readouterr().out.rstrip() == expected.rstrip(), command


def test_there_is_a_page_for_every_idea_and_each_is_listed() -> None:
    assert len(PAGES) == 16
    index = (FOLDER / "index.md").read_text(encoding="utf-8")
    listed = re.findall(r"\]\(([\w-]+)\.md\)", index)
    assert sorted(listed) == sorted(texts())
    nav = yaml.safe_load(re.sub(r"!!python\S*", "", (ROOT / "mkdocs.yml").read_text(encoding="utf-8")))["nav"]
    assert all(f"lectures/{name}.md" in json.dumps(nav) for name in (*listed, "index"))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_each_page_has_idea_command_image_numbers_and_the_file_to_read(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    idea = text.split("\n## ")[0].split("\n", 2)[2]
    assert 4 <= len(idea.strip().splitlines()) <= LONGEST_IDEA
    headings = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert headings == ["Try it", "Worked numbers", "Read"]
    assert re.search(r"^```\npython main\.py ", text, re.MULTILINE)
    assert "```pycon" in text or "```console" in text
    assert "../shared" not in text
    (read,) = re.findall(r"## Read\n\n(.*)", text, re.DOTALL)
    named = [name for name in re.findall(r"`([\w/]+(?:\.py|/))`", read) if "/" in name]
    assert named
    assert all((ROOT / name).exists() for name in named)


def test_the_images_of_the_pages_are_those_that_the_script_draws() -> None:
    shown = {name for text in texts().values() for name in re.findall(r"\(images/([\w-]+)\.png\)", text)}
    assert shown == {*DRAWINGS, "experiments"}
    files = {path.stem: path.stat().st_size for path in (FOLDER / "images").glob("*.png")}
    assert set(files) == shown
    assert max(files.values()) < LARGEST_IMAGE


@pytest.mark.parametrize("name", ["convolution", "padding-and-stride", "pooling", "transposed-convolution", "kalman"])
def test_an_image_is_drawn_anew(name: str) -> None:
    drawn = DRAWINGS[name]()
    assert drawn.ndim == 3
    assert drawn.std() > 10


def test_the_table_of_experiments_is_that_of_the_numbers_kept() -> None:
    results = json.loads((FOLDER / "experiments.json").read_text(encoding="utf-8"))
    assert [(name, [curve["name"] for curve in curves]) for name, curves in results.items()] == [
        (name, [trial.name for trial in trials]) for name, trials in EXPERIMENTS.items()
    ]
    page = (ROOT / "docs" / "experiments.md").read_text(encoding="utf-8")
    assert page.partition(BEGIN)[2].partition(END)[0].strip() == table(results).strip()
    for curves in results.values():
        for curve in curves:
            assert len(curve["accuracy"]) == len(curve["loss"]) == len(curve["train_loss"])


def test_a_trial_of_the_experiments_learns_and_repeats() -> None:
    trial = EXPERIMENTS["batch norm"][1]
    train, judge = digits(60, seed=0), digits(40, seed=1)
    first, again = (train_trial(trial, train, judge, epochs=2, seed=3) for _ in range(2))
    assert first.accuracy == again.accuracy
    assert first.train_loss[-1] < first.train_loss[0]
