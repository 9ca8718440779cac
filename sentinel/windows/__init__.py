"""Where hits are kept: in memory, or in Redis or Valkey. Each backend gives the meaning of `tests/reference.py`."""
