"""The program in a checkout: `python main.py` is what an installed one calls `sightline`."""

import sys

try:
    from tracker.__main__ import main
except KeyboardInterrupt:  # while it was being loaded
    sys.stderr.write("sightline: interrupted\n")
    sys.exit(130)

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
