"""Run the command line with ``python -m ionm``."""

import sys

from ionm.cli import main

if __name__ == "__main__":
    sys.exit(main())
