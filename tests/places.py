"""Define the paths of the repository that tests use."""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
DATA = REPOSITORY / "data"
