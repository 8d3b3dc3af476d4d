"""The built-in shape model: a signed-distance decoder over smooth lattices, and its fit in numpy."""
