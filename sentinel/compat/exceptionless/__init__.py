"""Exceptionless: takes its clients' events, groups errors into stacks, and lists stacks by their users.

`incoming` reads what is sent and `legacy` older forms of it, `stacks` says which events belong together, `config`
keeps the settings that clients fetch, `reading`, `ranking` and `filtering` answer queries in the format of `telling`,
and `routes` has the paths.
"""
