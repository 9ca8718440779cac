"""Clients people already have: one file a foreign protocol, each translating in and out of the same pipeline.

No adapter has logic of its own about events, windows or decisions. How a new one is added: `adapter`, `adapters`.
"""
