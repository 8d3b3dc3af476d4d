"""Neural shape models of the femur: represent a knee in their coordinates.

The built-in model is in `built_in/`. A custom model is a folder MODELS_DIR/nsm/<name>/ in the format of the NSM library
(models/README.md), with its B-score. Importing this package loads no weights; they are read when a femur is fitted.
"""
