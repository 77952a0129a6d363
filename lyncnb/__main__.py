"""Run the command line with ``python -m lyncnb``."""

from .cli import main

raise SystemExit(main())
