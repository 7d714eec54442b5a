"""Measuring the machine: devices, RAM, CPU; unknown is None."""
