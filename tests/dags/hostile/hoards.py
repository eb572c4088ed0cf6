hoard = b"x" * (1 << 31)
