"""`bakeoff compare`: reading, grouping and showing run directories. No torch here."""
