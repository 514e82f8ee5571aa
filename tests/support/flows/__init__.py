"""What tests of flow need: a small model, and how FlowService is asked."""
