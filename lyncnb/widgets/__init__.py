"""The panels of the notebook: plan, export, follow. They hold no rule and no fact of their own."""

from .editor import PlanEditor
from .request_panel import RequestPanel
from .status_panel import StatusPanel

__all__ = ["PlanEditor", "RequestPanel", "StatusPanel"]
