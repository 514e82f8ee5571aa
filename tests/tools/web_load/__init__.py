"""The web service under load: `python -m tests.tools.web_load`."""
