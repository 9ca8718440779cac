"""Exceptionless: its clients' events, errors grouped into stacks, and stacks told by their users.

`incoming` reads what is sent, `legacy` the older forms, `stacks` says what belongs together, `config` keeps what
clients are told to do, `reading`, `ranking` and `filtering` answer questions in the words of `telling`, `routes` says
what stands where.
"""
