"""Where hits are kept: in memory, or in Redis or Valkey. Each backend has the meaning of `tests/reference.py`."""
