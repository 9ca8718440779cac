"""Files of events: bytes, lines, rows, events in their order. What comes of the events is not known here."""
