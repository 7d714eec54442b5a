"""offtui: an instrument for running GGUF models that do not fit the GPU."""

__version__ = "0.1.0"
