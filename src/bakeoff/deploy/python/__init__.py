"""What the functions at the top of the package do and give."""
