"""From files to checked rules and playbooks: YAML with positions, the schema of both kinds, every mistake at once.

What a playbook then does is in the engine; which channels exist is told from outside.
"""
