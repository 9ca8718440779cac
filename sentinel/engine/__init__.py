"""The meaning of rules and playbooks, as pure functions of events and time.

No input or output, no clock, no log, no randomness: live, tests, backtest and replay call the same code.
"""
