"""Clients that people already use: one module or package a foreign protocol, each translating to and from our own.

An adapter has no logic of its own about events, windows or decisions. How to add one is in `adapter` and `adapters`.
"""
