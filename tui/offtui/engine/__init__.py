"""The parent's side of a worker: spawn, supervise, explain."""
