"""The store in PostgreSQL: any number of server processes over one database.

Control tables, decisions, findings and links are the same modules as on SQLite. What differs is here: how the database
is reached, how events are claimed, copied in and searched, and how processes hear of each other's changes.
"""
