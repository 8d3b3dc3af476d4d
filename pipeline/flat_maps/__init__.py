"""Flat maps: the cartilage plates of every knee unrolled into the same plane, that of the reference knee."""
