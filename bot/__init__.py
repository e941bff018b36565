"""The edge: the web process, the worker, the relay and the command line."""

__version__ = "0.1.0"
