"""Files of events: bytes, lines, rows, then events in order. What is done with the events is not known here."""
