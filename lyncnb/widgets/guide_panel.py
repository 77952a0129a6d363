"""Define ``GuidePanel``, which asks questions in a notebook and creates a first plan."""

from __future__ import annotations

from .editing.first_guide import FirstPlanGuide, GuideChannel
from .panel import ShownAsPanel


class GuidePanel(ShownAsPanel, FirstPlanGuide):
    """A panel that asks questions about a deployment and shows a first plan based on the answers.

    Parameters
    ----------
    folder : path, optional
        The folder for the files. You can change the folder in the panel.
    answers : GuideAnswers, optional
        Existing answers.

    Notes
    -----
    To show the panel, make it the last line of a cell. ``topology``, ``first`` and ``answers``
    contain the current results. lyncnb writes no file until you choose the button or call
    ``write``.
    """

    channel_of = GuideChannel
