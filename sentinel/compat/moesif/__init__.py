"""Moesif's clients: what their middlewares and their browser script send and ask, so that they enforce our blocks.

`routes` has the paths, `calls` what a body means, `names` how metadata is named and typed, `rules` whom clients refuse.
"""
