"""Bytes to values and back: varints, packet numbers, headers, frames, transport parameters.

Where the sections of RFC 9000 live:

========================  ==========================================================
``varint``                16, variable-length integers
``packet_number``         17.1 and A.2, A.3, packet numbers
``header``                17.2 and 17.3, packet headers; RFC 8999, other versions'
``frame_types``           12.4, the table of frame types and what each may do
``ack``                   19.3, ACK frames
``stream_header``         19.8, STREAM frames up to their data
``frames``                19, every frame as a value
``writers``               19, every frame written without a value
``transport_parameters``  18, transport parameters
``reader``                the cursor that all of them read through
========================  ==========================================================
"""
