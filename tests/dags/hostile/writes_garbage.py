import os
for fd in range(3, 64):
    try:
        os.write(fd, b"\xff\xff\xff\xff garbage")
    except OSError:
        pass
