"""The store of one folder and one process: SQLite takes every commit, DuckDB is what events are searched in.

Control tables, decisions, findings and links are the same modules as on PostgreSQL. What differs is here: the two
files, the journal between them, how repeats are recognised, and backups.
"""
