"""`python -m studio`, which launch.py hands over to."""

import sys

from studio.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
