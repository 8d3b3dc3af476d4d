"""The shape model that comes with the product: a signed-distance decoder over smooth lattices, and its fit in numpy."""
