"""The door: no arguments open the desktop app, anything else is the command line."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from tracker.errors import ConfigError
from tracker.runner import Runner


def main(arguments: Sequence[str] | None = None) -> int:
    """Open the window or run a command; the process's exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    from tracker import cli

    return cli.main(arguments, show=_show)


def _show(runner: Runner, title: str) -> None:
    try:
        from gui.live_window import show
    except ImportError as error:
        raise ConfigError(
            f"the window cannot open: {error}. Install PyQt6 (pip install pyqt6) and, on Debian or Ubuntu, "
            "apt install libegl1 libxkbcommon0 libdbus-1-3; without a window leave out --show"
        ) from error

    show(runner, title)


if __name__ == "__main__":
    sys.exit(main())
