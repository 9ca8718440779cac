"""What all ways into the server share: helpers for plain ASGI, refusals, limits, authentication. No route is here."""
