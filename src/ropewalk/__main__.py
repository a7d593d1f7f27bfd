"""``python -m ropewalk``: the command, without its script on the path."""

from ropewalk.cli import main

if __name__ == "__main__":
    main()
