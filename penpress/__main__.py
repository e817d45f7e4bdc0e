"""`python -m penpress` is `penpress`."""

from penpress.cli import main

if __name__ == "__main__":
    main()
