"""What an event does not say itself: where its address is, whose network, which browser, which labels.

Each step only adds; what an event already carries stays. What is done with it is the engine's.
"""
