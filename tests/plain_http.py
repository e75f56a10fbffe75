"""HTTP to servers on this machine. A client reads all the world's certificates when it is made, for 30 ms of processor
time; who asks a hundred times by clients of their own, or asks until something is ready, says `verify=NO_TLS`."""

import ssl

NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
