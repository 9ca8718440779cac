"""A module for each page, or for a few that belong together: what it asks of the store, and which template shows it."""
