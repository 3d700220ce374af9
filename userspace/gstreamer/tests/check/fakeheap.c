/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A dma-buf heap that is made up, for machines without one
 *
 * Preloaded, it answers the ioctls of heaps and dma-bufs on whatever file they
 * are called on, with memory of memfd_create(). It lets tests count what is
 * called, and have it fail, which no real heap does on demand. To wait until one
 * file is writable is to wait for the fences of a dma-buf. For 64-bit systems
 * with glibc.
 */

#define _GNU_SOURCE

#include "fakeheap.h"

#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/dma-buf.h>
#include <linux/dma-heap.h>

extern struct fake_heap fake_heap;

struct fake_heap fake_heap;

static int
take (int *left)
{
  return __atomic_load_n (left, __ATOMIC_SEQ_CST) > 0 &&
      __atomic_fetch_sub (left, 1, __ATOMIC_SEQ_CST) > 0;
}

static void
count (int *counter)
{
  __atomic_add_fetch (counter, 1, __ATOMIC_SEQ_CST);
}

static int
fake_alloc (struct dma_heap_allocation_data *data)
{
  int fd;

  if (take (&fake_heap.interrupt_allocs)) {
    errno = EINTR;
    return -1;
  }
  if (take (&fake_heap.fail_allocs)) {
    errno = ENOMEM;
    return -1;
  }
  if (data->len == 0 || data->heap_flags != 0) {
    errno = EINVAL;
    return -1;
  }

  fd = memfd_create ("fakeheap", MFD_CLOEXEC);
  if (fd < 0)
    return -1;
  if (ftruncate (fd, data->len) < 0) {
    close (fd);
    return -1;
  }

  data->fd = fd;
  count (&fake_heap.allocs);
  return 0;
}

static int
fake_sync (const struct dma_buf_sync *sync)
{
  if (take (&fake_heap.interrupt_syncs)) {
    errno = EINTR;
    return -1;
  }
  if (take (&fake_heap.fail_syncs)) {
    errno = EIO;
    return -1;
  }
  if (!(sync->flags & DMA_BUF_SYNC_RW)) {
    errno = EINVAL;
    return -1;
  }

  if (sync->flags & DMA_BUF_SYNC_END) {
    count (&fake_heap.sync_end);
  } else {
    if (sync->flags & DMA_BUF_SYNC_READ)
      count (&fake_heap.sync_start_read);
    if (sync->flags & DMA_BUF_SYNC_WRITE)
      count (&fake_heap.sync_start_write);
  }
  return 0;
}

int
ioctl (int fd, unsigned long request, ...)
{
  va_list args;
  void *arg;

  va_start (args, request);
  arg = va_arg (args, void *);
  va_end (args);

  switch (request) {
    case DMA_HEAP_IOCTL_ALLOC:
      return fake_alloc (arg);
    case DMA_BUF_IOCTL_SYNC:
      return fake_sync (arg);
    default:
      return syscall (SYS_ioctl, fd, request, arg);
  }
}

int
poll (struct pollfd *fds, nfds_t n, int timeout)
{
  int (*next) (struct pollfd *, nfds_t, int) = dlsym (RTLD_NEXT, "poll");

  if (n == 1 && fds->events == POLLOUT) {
    if (take (&fake_heap.interrupt_polls)) {
      errno = EINTR;
      return -1;
    }
    count (&fake_heap.polls);
    if (take (&fake_heap.busy_polls)) {
      usleep (timeout * 1000);
      return 0;
    }
  }

  return next (fds, n, timeout);
}
