"""Neural shape models of the femur: what a knee looks like in their coordinates.

The built-in one is in `built_in/`. A lab's own is a folder MODELS_DIR/nsm/<name>/ in the format of the NSM library
(models/README.md), with its B-score. Importing this loads nothing; weights are read when a femur is fitted.
"""
