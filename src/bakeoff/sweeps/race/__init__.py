"""`bakeoff race`: more seeds for those that may still be the best, until that is known. No torch here."""
