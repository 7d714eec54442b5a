"""What the processes agree on: specs, requests, events, frames."""
