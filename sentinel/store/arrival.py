"""The position of an event that came in, the same in both stores.

A position is a place in the order of arrival, in one integer: the number of a row or a block, and the event's index in
it.
"""

BITS = 13
END = (1 << BITS) - 1
