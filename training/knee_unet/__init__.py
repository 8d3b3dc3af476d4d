"""Training of the weights in models/knee_unet: patches with synthetic contrast, training, evaluation, export."""
