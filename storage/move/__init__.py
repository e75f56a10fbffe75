"""What a local stack has, taken to the database and the store of a service that is to be scaled out."""
