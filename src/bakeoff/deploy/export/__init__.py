"""A trained model as a file for other programs: written, checked before it is kept, opened with distrust."""
