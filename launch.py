"""Start the studio. Needs nothing but Python 3.11 or newer.

    python launch.py                          set up on the first start, then show the page
    python launch.py generate "a red sphere"  write a picture instead; see generate --help
    python launch.py test [pytest options]    set up, then run the tests

`--here` uses this Python and its packages instead of a .venv beside this file.
This file stays readable for any old Python, so that it can say that it is too old; the work is in studio/launcher/.
"""

import sys

if __name__ == "__main__":
    if sys.version_info < (3, 11):  # noqa: UP036  (this is where an old Python ends)
        sys.exit("Python %d.%d is too old: the studio needs Python 3.11 or newer, so start it with that." % sys.version_info[:2])
    from studio.launcher import main

    sys.exit(main(sys.argv[1:]))
