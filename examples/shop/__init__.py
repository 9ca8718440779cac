"""A small pottery shop, protected by Sentinel: the example of how an application uses the SDK.

`app` has the routes and every line that concerns Sentinel; the other modules would be the same without it.
"""
