"""In front of the application: connections, hosts and sites, names of requests, the server and how it stops."""
