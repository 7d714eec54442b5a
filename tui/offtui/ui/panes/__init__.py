"""The parts of the main screen. Facts are bound down to them, intents are posted up by them."""
