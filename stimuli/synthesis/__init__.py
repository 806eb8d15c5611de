"""The synthesis engine: start x objective x constraint x optimiser x stop rule, for a batch that keeps its shape."""
