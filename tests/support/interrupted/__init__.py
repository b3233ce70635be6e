"""Commands that are killed at random moments, and the fleet that they work on."""
