"""The web pages and the interface over HTTP: studies, live curves, reports, runs, data, reading an image."""

from doubleread.server.app import create_app
from doubleread.server.guard import Allowed
from doubleread.server.serving import serve

__all__ = ["Allowed", "create_app", "serve"]
