"""QPACK (RFC 9204): field sections as bytes and back, without I/O.

:class:`~ropewalk.http3.qpack.decoder.Decoder` has the whole dynamic table;
:class:`~ropewalk.http3.qpack.encoder.Encoder` uses the static table and Huffman literals.
"""
