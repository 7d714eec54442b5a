"""The offtui command. Imports late, so that the first paint is early."""
