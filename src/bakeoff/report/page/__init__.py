"""The page: one HTML file that holds everything that it shows."""
