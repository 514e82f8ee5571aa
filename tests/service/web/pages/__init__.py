"""Pages: what they show, their words, their script."""
