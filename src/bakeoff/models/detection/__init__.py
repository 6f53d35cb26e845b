"""Parts of a detector for batches whose images have one size and one object each.

torchvision's detectors loop over images in Python, since theirs differ in size and number of objects.
Here everything is done for the whole batch at once, without reading the device. Tests hold each part
against torchvision's.
"""
