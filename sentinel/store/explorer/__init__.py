"""Aggregates of stored events: a module for each kind of question, the same SQL for every database but for `words`."""
