"""Questions to a posterior: what is asked of each problem's p, answered for a target."""
