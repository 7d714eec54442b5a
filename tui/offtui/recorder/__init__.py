"""What a session and the machine did over time, told to every terminal of the user; knows nothing of screens."""
