"""T2 (transverse relaxation time) of cartilage: multi-echo spin echo by least squares, qDESS in closed form."""

from pipeline.t2.decay import fit_t2
from pipeline.t2.layers import measure_t2, relative_depth
from pipeline.t2.maps import fit_t2_map, t2_unavailable
from pipeline.t2.on_surface import t2_on_surface

__all__ = ["fit_t2", "fit_t2_map", "measure_t2", "relative_depth", "t2_on_surface", "t2_unavailable"]
