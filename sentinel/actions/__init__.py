"""How people and other programs are told: channels, texts, webhooks, and the one way out to other hosts.

What is to be told is decided before, by playbooks; when it is tried, and again, is the outbox's.
"""
