"""``python -m lyncnb``: the command line."""

from .cli import main

raise SystemExit(main())
