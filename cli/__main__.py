"""Entry of `python -m cli`; bin/meterline calls it."""

import sys

from cli.app import main

sys.exit(main(sys.argv[1:]))
