"""Mean maps of groups of knees, and their difference, at the numbered vertices of the reference knee."""
