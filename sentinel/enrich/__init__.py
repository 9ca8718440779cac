"""What an event does not say itself: where its address is, whose network it is, which browser, which labels.

Each step only adds: what an event already has stays. How it is used is up to the engine.
"""
