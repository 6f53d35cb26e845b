"""Which differences are real: pure functions of NumPy arrays. No torch, no files here.

A *setting* has runs that differ in the seed alone; all settings are tested on the same images. Two noises
are honoured: other seeds would give other networks, another test set would hold other hard images.
docs/statistics.md explains each number.
"""

ALPHA = 0.05  # of 100 tables without a real difference, 5 may name one
