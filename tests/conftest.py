"""What holds for the whole suite."""

import signal

# In the background of a script SIGINT is ignored, and programs that the tests start would inherit
# that: the servers among them end by it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
