"""The HTTP API: it reads requests, calls the service inside, and writes answers. It decides nothing itself."""
