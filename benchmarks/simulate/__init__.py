"""A service that is only counted: how many workers a stream of jobs needs, before anybody buys them."""
