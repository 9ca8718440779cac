"""The demo: a server, a shop, its customers and three attackers, each a process or thread that speaks real HTTP.

Nothing here reaches into the server or the SDK: all that is shown was answered over HTTP.
"""
