"""Planning: what further attempts would teach, where to make them, and how many it takes."""
