"""Sums over the stored events: one module a kind of question, the same SQL for every database but for `words`."""
