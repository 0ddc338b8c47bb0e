"""The server: runs in the browser, over HTTP and Socket.IO. Needs the extra ``server``."""
