from __future__ import annotations

import argparse
import os

import pytest

from tracker.commands import train


@pytest.mark.parametrize(("asked", "used"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_threads_that_wait_leave_the_cores_to_others_unless_told_otherwise(
    asked: str | None, used: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", asked or "")
    if asked is None:
        monkeypatch.delenv("OMP_WAIT_POLICY")
    train.add_parsers(argparse.ArgumentParser().add_subparsers())
    assert os.environ["OMP_WAIT_POLICY"] == used
