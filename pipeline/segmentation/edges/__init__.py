"""Where exactly bone and cartilage end: read from the image along the normals of a first answer's bone surfaces.

A network on voxels of 0.7 mm knows what is cartilage; its edges are a voxel or two of the scan off. Along a normal the
question is small: how deep is the bone's edge, how deep the cartilage's. A network of a few matrices answers it for
every ray (network.py) from the grey values and the first answer along the ray and its neighbours (profiles.py); between
the rays the edges are interpolated (relabel.py). What lies further off than the rays reach stays as it was.
"""
