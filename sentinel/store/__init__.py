"""Where everything is kept: one commit, control tables, and the events made searchable.

`embedded` and `postgres` are the two machines. What lies here is the same in both: the tables and their migrations,
the rooms over the control tables, and how what is asked of events becomes SQL; it knows neither of them. What the
service may ask is in `sentinel.service.ports`; nothing here knows of rules or requests.
"""
