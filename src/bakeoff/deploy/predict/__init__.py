"""Pictures of anybody to predictions: which, how they are read and prepared, what is said of them."""
