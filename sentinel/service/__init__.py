"""What Sentinel does with events: the pipeline and the work around it, over machines known as protocols only."""
