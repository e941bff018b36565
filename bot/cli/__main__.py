"""`python -m bot.cli` is `fixwright`."""

import sys

from bot.cli import main

sys.exit(main())
