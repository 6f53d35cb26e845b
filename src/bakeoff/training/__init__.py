"""The loop that trains any model, and all that it needs to go on."""
