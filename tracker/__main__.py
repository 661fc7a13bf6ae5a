"""The door: no arguments, files or addresses open the window, anything else is the command line.

`sightline`, `python -m tracker` and, in a checkout, `python main.py` all come in here.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tracker.runner import Runner

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Open the window or run a command; the process's exit code."""
    try:
        if arguments is None and isinstance(getattr(sys, "last_value", None), KeyboardInterrupt):
            raise KeyboardInterrupt  # it came while Python looked at the program's file, which reports it and goes on
        from tracker.ending import leave

        code = _main(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:  # between what is loaded and what provides for an end
        print("sightline: interrupted", file=sys.stderr)
        return 130
    if arguments is None and code:
        leave(code)
    return code


def _main(arguments: Sequence[str]) -> int:
    from tracker.ending import EndAtOnce

    # What OpenCV cannot read is reported in one line; its own, with lines of its C++ source, would stand beside it.
    os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
    loading = EndAtOnce()
    try:
        from tracker import cli
        from tracker.errors import ConfigError
    finally:
        loading.release()

    if all(argument not in cli.COMMANDS and cli.names_source(argument) for argument in arguments):
        try:
            return _open_app(arguments)
        except ConfigError as error:
            print(f"sightline: {error}", file=sys.stderr)
            return 2
    return cli.main(arguments, show=_show)


def _open_app(paths: Sequence[str]) -> int:
    from tracker.ending import EndAtOnce
    from tracker.errors import ConfigError

    loading = EndAtOnce()
    try:
        from gui.app import main as open_app
    except ImportError as error:
        raise ConfigError(_missing(error)) from error
    finally:
        loading.release()
    return open_app(paths)


def _show(runner: Runner, title: str) -> None:
    from tracker.errors import ConfigError

    try:
        from gui.live.plain_window import show
    except ImportError as error:
        raise ConfigError(_missing(error)) from error

    show(runner, title)


def _missing(error: ImportError) -> str:
    from tracker.extras import how_to_install

    if isinstance(error, ModuleNotFoundError) and how_to_install(error):
        return f"the window cannot open: {how_to_install(error)}; without a window use the command line, without --show"
    return (
        f"the window cannot open: {error}. On Debian or Ubuntu, apt install libegl1 libxkbcommon0 libdbus-1-3; "
        "without a window use the command line, without --show"
    )


if __name__ == "__main__":
    sys.exit(main())
