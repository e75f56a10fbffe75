"""What can be seen of the service from outside its jobs: how a worker works, and what waits."""
