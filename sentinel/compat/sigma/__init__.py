"""Sigma rules and correlations as rules and playbooks of ours. pySigma parses; what has no like here is reported."""
