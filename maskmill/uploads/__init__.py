"""Files that go straight to the store, several at a time, and go on where they stopped."""
