"""make adapt: fine-tunes the built-in first pass on a lab's labelled scans, and installs the result as a model."""
