"""The program in a checkout: `python main.py` is what an installed one calls `sightline`."""

import os
import signal
import sys


def _interrupted(*_: object) -> None:
    os.write(2, b"sightline: interrupted\n")
    os._exit(130)


if loading := __name__ == "__main__" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, _interrupted)  # Python drops an exception that comes in a callback of its imports
import tracker.ending  # noqa: E402, F401 - both under that handler
from tracker.__main__ import main  # noqa: E402

if loading:
    signal.signal(signal.SIGINT, signal.default_int_handler)

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
