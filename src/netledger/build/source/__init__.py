"""What targets share: axis order, borders, the module tree, code that reads well, weights."""
