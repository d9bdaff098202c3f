"""``python -m lab``: what ``./run demo`` and ``./run lab`` do."""

import sys

from lab.cli import main

if __name__ == "__main__":
    sys.exit(main())
