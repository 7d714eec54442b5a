"""The Hugging Face hub: searched, read and fetched from in a process of its own, the only one with huggingface_hub."""
