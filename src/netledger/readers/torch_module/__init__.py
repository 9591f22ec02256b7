"""Live PyTorch modules."""
