"""What every door to the server shares: the words of plain ASGI, refusals, bounds, and who asks. No path lives here."""
