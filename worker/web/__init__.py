"""The way to addresses that strangers chose, guarded."""
