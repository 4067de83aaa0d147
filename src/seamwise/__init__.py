"""Seamwise: continual learning for weld inspection."""

__version__ = "0.1.0"
