"""Monitor: measuring inside somebody else's training loop."""

from gedanken.monitor.monitor import Monitor

__all__ = ["Monitor"]
