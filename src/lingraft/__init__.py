"""lingraft moves knowledge between languages inside language models."""

__version__ = "0.1.0"
