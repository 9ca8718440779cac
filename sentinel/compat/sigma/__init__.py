"""Import Sigma rules and correlations as our rules and playbooks. pySigma parses; the rest is reported."""
