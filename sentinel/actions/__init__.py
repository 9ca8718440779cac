"""Telling people and other programs: channels, message texts, webhooks, and the one way out to other hosts.

Playbooks decide what is told; `service.outbox` decides when a delivery is tried and tried again.
"""
