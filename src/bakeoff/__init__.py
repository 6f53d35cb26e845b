"""bakeoff: fair bake-offs between vision architectures."""

__version__ = "0.1.0"
