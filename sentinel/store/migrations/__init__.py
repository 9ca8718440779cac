"""The history of the tables: a file in `versions` for each change, run by `sentinel.store.migrate`."""
