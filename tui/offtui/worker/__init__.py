"""The child: llama.cpp behind frames. The only floor that imports llama_cpp."""
