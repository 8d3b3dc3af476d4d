"""T2 (transverse relaxation time) of cartilage: multi-echo spin echo by least squares, qDESS in closed form."""
