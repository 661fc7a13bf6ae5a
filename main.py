"""The program in a checkout: `python main.py` is what an installed one calls `sightline`."""

import sys

from tracker.__main__ import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
