"""Trying playbooks before they act: on past events, on their own tests, with other thresholds. Nothing is decided."""
