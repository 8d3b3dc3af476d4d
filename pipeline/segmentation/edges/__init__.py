"""Edges of bone and cartilage between voxels, located along the normals of the first pass's bone surfaces.

A network on voxels of 0.7 mm finds the cartilage; its edges are off by one or two voxels of the scan. Along a normal
the task is small: the depth of the bone's edge and that of the cartilage's. For every ray a network of a few matrices
(network.py) finds both from the grey values and the first-pass probabilities along the ray and its neighbours
(profiles.py). Between rays the edges are interpolated (relabel.py). Voxels out of reach of the rays keep their label.
"""
