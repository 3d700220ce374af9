#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Allocate a buffer from a dma-buf heap, as the ioctl has it.

usage: allocate.py HEAP BYTES [COMMAND...]

Says which call failed, and the name of its errno. COMMAND is run while the buffer is
there, and its exit status is passed on.
"""

import errno
import fcntl
import os
import struct
import subprocess
import sys

DMA_HEAP_IOCTL_ALLOC = 0xC0184800


def main():
    heap, size = sys.argv[1], int(sys.argv[2], 0)
    call = "open"
    try:
        fd = os.open(heap, os.O_RDWR | os.O_CLOEXEC)
        call = "ioctl"
        fcntl.ioctl(fd, DMA_HEAP_IOCTL_ALLOC,
                    struct.pack("QIIQ", size, 0, os.O_RDWR | os.O_CLOEXEC, 0))
    except OSError as error:
        return f"{call}: {errno.errorcode[error.errno]}"
    print("allocated")
    if len(sys.argv) > 3:
        return subprocess.run(sys.argv[3:]).returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
