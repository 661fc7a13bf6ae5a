from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.annotate.killing import ROOT
from tracker.lock import alone

HOLD = """
import sys, time
from pathlib import Path
from tracker.lock import alone
with alone(Path(sys.argv[1]), "x"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_process_waits_for_another_and_goes_on_when_that_one_is_killed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, path], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    waits: list[int] = []

    def kill() -> None:
        waits.append(1)
        holder.kill()

    with alone(path, "street.mp4", kill):
        assert path.exists()
    holder.communicate()
    assert waits
    assert [record.getMessage() for record in caplog.records] == [
        "street.mp4: another run is at work on it; waiting for that one to end"
    ]
    assert not path.exists()


def test_only_one_thread_at_a_time_is_inside(tmp_path: Path) -> None:
    path, inside, most = tmp_path / "a.lock", [0], [0]

    def enter() -> None:
        for _ in range(5):
            with alone(path, "x"):
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                inside[0] -= 1

    threads = [threading.Thread(target=enter) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]


@pytest.mark.skipif(os.name == "nt", reason="folders cannot be files there either, but the error is another")
def test_a_place_that_takes_no_file_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path, done = tmp_path / "file" / "a.lock", []
    with alone(path, "x", waiting=lambda: pytest.fail("waits for a lock that nobody can hold")), alone(path, "x"):
        done.append("both at once, since nothing is held")
    assert done
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
