"""What is remembered from one run to the next: measurements and headers, in SQLite."""
