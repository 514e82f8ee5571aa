"""What tests of the web service need: the running service, and reports for its store."""
