"""T2 and T1rho of cartilage: multi-echo spin echo and spin-lock images by least squares, qDESS in closed form."""
