"""Long work: by several processes or a cluster, kept as it comes."""
