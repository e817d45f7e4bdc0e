"""Serve the API where the settings say: `python -m api`."""

from api.server import serve
from store.settings import Settings

serve(Settings())
