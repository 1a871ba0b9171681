"""The deployment, and what it allows."""

from overt.governance.cameras import Camera, SourceKind
from overt.governance.deployment import Deployment, WindowState, window_state
from overt.governance.loading import DeploymentError, Problem, load_deployment
from overt.governance.watchlists import Category, SubjectsBy, Watchlist

__all__ = [
    "Camera",
    "Category",
    "Deployment",
    "DeploymentError",
    "Problem",
    "SourceKind",
    "SubjectsBy",
    "Watchlist",
    "WindowState",
    "load_deployment",
    "window_state",
]
