"""One file a page, or a few that belong together: what is asked of the store, and which template shows it."""
