"""Training of the networks that locate bone and cartilage edges along rays (pipeline/segmentation/edges)."""
