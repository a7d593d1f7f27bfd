"""What scenarios send: bulk, requests, messages and datagrams, checked byte for byte."""
