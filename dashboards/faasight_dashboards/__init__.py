"""The Dash app: pages, figures and components over the store."""

from faasight_dashboards.app import create_app
from faasight_dashboards.service import Dashboards, ServeError
from faasight_dashboards.settings import Settings

__all__ = ["Dashboards", "ServeError", "Settings", "create_app"]
