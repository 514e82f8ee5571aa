"""The web service as a whole: real gateway, real HTTP."""
