"""Where everything is kept: one commit, control tables, and the events made searchable.

`open_store(folder)` gives the embedded machine: SQLite for the commit and the control tables, DuckDB for the
events. What the service may ask is in `sentinel.service.ports`; nothing here knows of rules or requests.
"""
