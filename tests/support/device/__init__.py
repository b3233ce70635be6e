"""Servers that a device talks to, on loopback, and what changes its view of the machine."""
