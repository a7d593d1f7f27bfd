"""Streams and datagrams: buffers, states, flow control, limits, priorities.

====================  ===============================================================
``table``             all streams of a connection: the face to everything above
``registry``          RFC 9000 2.1 and 3, opening, finding and forgetting streams
``send_stream``       3.1, states of the sending part
``receive_stream``    3.2, states of the receiving part; 4.5, final sizes
``flow_control``      4.1 and 4.2, windows and credit
``limits``            4.6, how many streams may live
``frame_scheduler``   whose turn it is; writes STREAM frames (19.8)
``control_frames``    writes MAX_*, *_BLOCKED, RESET_STREAM, STOP_SENDING (19.4 to 19.14)
``queues``            the round of streams that have something to send
``send_buffer``       bytes unsent, in flight, lost
``receive_buffer``    reassembly
``chunks, ranges``    what both buffers are made of
``datagrams``         RFC 9221
====================  ===============================================================
"""
