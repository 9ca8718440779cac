"""The vocabulary: events, identities, addresses, decisions, durations, errors.

Values and the functions that make them. Standard library only; no I/O, no clock.
"""
