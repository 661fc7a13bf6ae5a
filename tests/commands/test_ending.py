"""Signals that come while a run is being prepared end it as those do that come later."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import tracker
from tests.video.synthetic import write_clip
from tracker import __main__ as program
from tracker import cli
from tracker.ending import AGAIN_S, HeldSignals, Terminated, end_on_sigterm

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's here")


@pytest.fixture
def handlers() -> Iterator[None]:
    before = [(number, signal.getsignal(number)) for number in (signal.SIGINT, signal.SIGTERM)]
    end_on_sigterm()
    yield
    for number, handler in before:
        signal.signal(number, handler)


@pytest.mark.parametrize(("number", "raised"), [(signal.SIGTERM, Terminated), (signal.SIGINT, KeyboardInterrupt)])
def test_a_held_signal_is_raised_when_it_is_let_through(
    handlers: None, number: signal.Signals, raised: type[BaseException]
) -> None:
    held = HeldSignals()
    signal.raise_signal(number)
    with pytest.raises(raised):
        held.release()
    held.release()


def test_where_none_came_nothing_is_raised(handlers: None) -> None:
    before = signal.getsignal(signal.SIGTERM)
    held = HeldSignals()
    held.release()
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_second_ctrl_c_is_the_first_one_again_until_a_second_has_passed(
    handlers: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`timeout -s INT` sends two at once: the second one broke off what the first one finished."""
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGINT)
    now += AGAIN_S
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_the_next_run_in_a_process_knows_of_no_ctrl_c_before_it(handlers: None) -> None:
    for _ in range(2):
        end_on_sigterm()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_a_signal_that_a_library_took_for_its_own_failure_is_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], handlers: None
) -> None:
    def load(*_: object) -> int:
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt as interrupt:
            raise ImportError("initialization failed") from interrupt
        return 0

    monkeypatch.setattr(cli, "_run", load)
    assert cli.main(["track"]) == 143
    assert capsys.readouterr().err == "sightline: terminated\n"

    def fail(*_: object) -> int:
        raise ImportError("libfoo.so: no such file")

    monkeypatch.setattr(cli, "_run", fail)
    with pytest.raises(ImportError, match="libfoo"):
        cli.main(["track"])


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_run_ends_by_a_signal_whose_exception_was_dropped(
    tmp_path: Path, network: Path, number: signal.Signals, code: int
) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=400)
    script = f"""
        import signal, sys, weakref
        sys.path.insert(0, {str(ROOT)!r})
        import main
        from tracker.commands import track
        class Thing: pass
        wrapped = track.make_pipeline
        def dropped(*arguments, **options):
            thing = Thing()
            watched = weakref.ref(thing, lambda _: signal.raise_signal({int(number)}))
            del thing
            return wrapped(*arguments, **options)
        track.make_pipeline = dropped
        arguments = ["track", {str(clip)!r}, "--model", {str(network)!r}, "--project", {str(tmp_path)!r}]
        sys.exit(main.main([*arguments, "--progress", "none"]))
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == code, done.stderr
    assert "Exception ignored" in done.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_that_comes_in_a_callback_while_a_command_is_loaded_ends_it(number: signal.Signals, code: int) -> None:
    """The interpreter drops exceptions of such callbacks: with one the program would have gone on for ever."""
    script = f"""
        import importlib, signal, sys, weakref
        sys.path.insert(0, {str(ROOT)!r})
        import main
        class Thing: pass
        def load(name):
            thing = Thing()
            watched = weakref.ref(thing, lambda _: signal.raise_signal({int(number)}))
            del thing
            raise SystemExit("not ended")
        from tracker import cli
        cli.importlib = type("Importing", (), {{"import_module": staticmethod(load)}})
        sys.exit(main.main(["track", "clip.mp4"]))
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == code, done.stderr
    assert done.stderr in ("sightline: interrupted\n", "sightline: terminated\n")


@pytest.mark.parametrize("module", ["tracker", "tracker.__main__", "tracker.ending"])
def test_ctrl_c_while_the_program_is_loaded_is_one_line(module: str) -> None:
    """Also in a callback, whose exception the interpreter drops: the program went on for ever."""
    script = f"""
        import runpy, signal, sys, weakref
        class Thing: pass
        class Interrupting:
            def find_spec(self, name, *_):
                if name == {module!r}:
                    thing = Thing()
                    watched = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGINT))
                    del thing
        sys.meta_path.insert(0, Interrupting())
        sys.path.insert(0, {str(ROOT)!r})
        runpy.run_path({str(ROOT / "main.py")!r}, run_name="__main__")
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stderr) == (130, "sightline: interrupted\n")


def test_ctrl_c_that_python_reports_and_passes_over_ends_the_program() -> None:
    """Before it runs a file it looks whether that is an archive, and goes on whatever happens there."""
    script = f"""
        import runpy, sys
        sys.last_value, sys.argv[:] = KeyboardInterrupt(), ["main.py", "--version"]
        sys.path.insert(0, {str(ROOT)!r})
        runpy.run_path({str(ROOT / "main.py")!r}, run_name="__main__")
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "sightline: interrupted\n")


@pytest.mark.parametrize("module", ["tracker.cli", "gui.app"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_that_comes_in_a_callback_while_the_program_is_loaded_ends_it(
    module: str, number: signal.Signals, code: int
) -> None:
    """A training went on for ever, its Ctrl-C dropped with the lock of a module that was being imported."""
    arguments = ["main.py"] if module == "gui.app" else ["main.py", "--version"]
    script = f"""
        import runpy, signal, sys, weakref
        class Thing: pass
        class Interrupting:
            def find_spec(self, name, *_):
                if name == {module!r}:
                    thing = Thing()
                    watched = weakref.ref(thing, lambda _: signal.raise_signal({int(number)}))
                    del thing
                    raise SystemExit("not ended")
        sys.meta_path.insert(0, Interrupting())
        sys.path.insert(0, {str(ROOT)!r})
        sys.argv = {arguments!r}
        runpy.run_path({str(ROOT / "main.py")!r}, run_name="__main__")
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == code, done.stderr
    assert done.stderr in ("sightline: interrupted\n", "sightline: terminated\n")


@pytest.mark.parametrize("code", [130, 143])
def test_who_was_interrupted_waits_for_nothing_but_what_is_registered(code: int) -> None:
    script = f"""
        import atexit, sys, threading
        sys.path.insert(0, {str(ROOT)!r})
        from tracker import __main__ as door
        threading.Thread(target=threading.Event().wait).start()  # the interpreter would wait for it for ever
        atexit.register(print, "registered")
        print("written", end=" ")
        door._main = lambda arguments: {code}
        sys.exit(door.main())
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stdout) == (code, "written registered\n")


@pytest.mark.parametrize("place", ["open_sinks", "make_runner", "track_source"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_no_empty_output_is_left_wherever_the_signal_comes(
    tmp_path: Path, network: Path, place: str, number: signal.Signals, code: int
) -> None:
    clip = write_clip(tmp_path / "clip.mp4", frames=400)
    script = f"""
        import signal, sys
        sys.path.insert(0, {str(ROOT)!r})
        import main
        from tracker.commands import track
        wrapped = track.{place}
        def then_signal(*arguments, **options):
            if {place == "track_source"}:
                signal.raise_signal({int(number)})
                return wrapped(*arguments, **options)
            made = wrapped(*arguments, **options)
            signal.raise_signal({int(number)})
            return made
        track.{place} = then_signal
        arguments = ["track", {str(clip)!r}, "--save", "--model", {str(network)!r}, "--project", {str(tmp_path)!r}]
        sys.exit(main.main([*arguments, "--progress", "none"]))
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    left = list((tmp_path / "run").iterdir())
    assert [path.name for path in left if path.suffix == ".partial"] == []
    assert [path.name for path in left if path.suffix == ".mp4" and not path.stat().st_size] == []


class Interrupting:
    """Finds nothing, and is interrupted while it looks for that module."""

    def __init__(self, name: str) -> None:
        self._name = name

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> None:
        if name == self._name:
            raise KeyboardInterrupt


@pytest.mark.parametrize("name", ["tracker.ending", "tracker.cli"])
def test_ctrl_c_while_the_program_loads_its_first_modules_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(tracker, name.partition(".")[2])
    monkeypatch.setattr(sys, "meta_path", [Interrupting(name), *sys.meta_path])
    assert program.main(["track"]) == 130
    assert capsys.readouterr().err == "sightline: interrupted\n"
