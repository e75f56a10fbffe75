"""Real servers for the tests: each is started from a program, waited for, and stopped again."""
