"""The HTTP edge: requests in, values and calls of the service inside, answers out. No meaning lives here."""
