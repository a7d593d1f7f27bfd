"""HTTP/3 without I/O (RFC 9114, RFC 9204)."""
