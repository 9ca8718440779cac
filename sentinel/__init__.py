"""Playbooks over a product's events: this file holds the version and imports nothing."""

__version__ = "0.1.0"
