"""Moesif: takes what its middlewares and its browser script send, and answers so that they enforce our blocks.

`routes` has the paths, `calls` translates bodies, `names` says how metadata is named and typed, `rules` says whom
clients refuse.
"""
