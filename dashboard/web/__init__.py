"""What browsers fetch beside the pages: pictures, rows and archives of the service, which asks for a key they lack."""
