"""What tests of several kinds share: a cloud and a device to break, and the ways to break them."""
