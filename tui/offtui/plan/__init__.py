"""Pure arithmetic: bytes and speed of every offload."""
