"""The model that ships with Penpress, so that a fresh installation can classify at once. See MODEL_CARD.md."""

from pathlib import Path

STARTER = Path(__file__).parent
"""The bundle's folder."""
