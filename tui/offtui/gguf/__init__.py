"""What a model file says, and which model files there are."""
