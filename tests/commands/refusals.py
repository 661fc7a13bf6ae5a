"""What a command says that cannot be done."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tracker.cli import main


def refusal(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on stderr; the exit code is 2."""
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    return error
