"""Training of the network that reads where bone and cartilage end (pipeline/segmentation/edges)."""
