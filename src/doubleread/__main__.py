"""`python -m doubleread`."""

from doubleread.cli import main

if __name__ == "__main__":
    main()
