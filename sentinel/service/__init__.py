"""What Sentinel does with events: the pipeline and the work around it. Backends are known only as protocols."""
