"""The plan beside the session: made from what the worker reports and what was measured, on a thread of its own."""
