"""The demo: a server, a shop, its customers and three attackers, each a process or thread that speaks real HTTP.

Nothing in here reaches into the server or the SDK: what is told is what HTTP answered.
"""
