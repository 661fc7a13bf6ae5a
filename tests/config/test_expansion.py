"""A few lines that stand for millions of values are refused before anything goes through them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tracker.config import read_settings
from tracker.config.expansion import is_too_large
from tracker.errors import ConfigError, FormatError
from tracker.formats.core.class_names import read_yaml

LINES = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
LINES += [f"a{step}: &a{step} [{', '.join([f'*a{step - 1}'] * 9)}]" for step in range(1, 9)]


def test_a_document_that_names_its_lists_again_and_again_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.yaml"
    path.write_text("\n".join(LINES))
    with pytest.raises(ConfigError, match="more than 1000000 values"):
        read_settings(path)
    with pytest.raises(FormatError, match="more than 1000000 values"):
        read_yaml(path)


def test_what_is_large_and_honest_is_read() -> None:
    assert not is_too_large({"names": list(range(900_000))})
    assert is_too_large([[0] * 1000] * 1000)
