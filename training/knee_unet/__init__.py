"""How the weights in models/knee_unet are made: patches with synthetic contrast, training, evaluation, export."""
