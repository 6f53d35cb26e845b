"""What of the data sets decides which keys and values make sense. No torch here."""

EMNIST_SPLITS = ("byclass", "bymerge", "balanced", "letters", "digits", "mnist")
# A mirrored digit or letter is another one or none, so flips are refused for these.
HAS_TEXT = ("mnist", "digits", "kmnist", "emnist", "qmnist", "svhn")
# Bright writing or drawing on black: an image's object is its ink.
HAS_INK = ("mnist", "digits", "fashion_mnist", "kmnist", "emnist", "qmnist")
