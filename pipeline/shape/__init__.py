"""Neural shape models that a lab has installed: what a knee looks like in their coordinates, and its B-score.

A shape model is a folder MODELS_DIR/nsm/<name>/ in the format of the NSM library (models/README.md). Importing this
loads nothing; `installed` reads the small JSON files, `fit_shapes` the weights.
"""
