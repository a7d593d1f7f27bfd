"""Packet protection: keys, sealing and opening, header masks, key update (RFC 9001)."""
