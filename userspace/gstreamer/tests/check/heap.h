/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which heap the tests use, and whether there is one
 */

#ifndef __TESTS_HEAP_H__
#define __TESTS_HEAP_H__

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/dma-heap.h>

#include <gst/check/gstcheck.h>

#include "fakeheap.h"

/* What meson and automake take for a test that was skipped */
#define EXIT_SKIPPED 77

static inline const gchar *
heap_path (void)
{
  const gchar *path = g_getenv ("GST_DMA_HEAP");

  return path != NULL ? path : "/dev/dma_heap/system";
}

/* The heap that is made up, or NULL */
static inline struct fake_heap *
fake_heap (void)
{
  return dlsym (RTLD_DEFAULT, "fake_heap");
}

/* Runs the suite, when a page can be had from the heap. A heap that was asked
 * for and has none is a failure. */
static inline int
run_suite_with_heap (Suite * suite, const gchar * name, const gchar * file)
{
  struct dma_heap_allocation_data data = { 0, };
  const gchar *step = "open";
  gint fd, ret = -1, err;

  fd = open (heap_path (), O_RDWR | O_CLOEXEC);
  if (fd >= 0) {
    step = "DMA_HEAP_IOCTL_ALLOC";
    data.len = sysconf (_SC_PAGESIZE);
    data.fd_flags = O_RDWR | O_CLOEXEC;
    ret = ioctl (fd, DMA_HEAP_IOCTL_ALLOC, &data);
  }
  err = errno;
  if (ret < 0) {
    g_print ("%s: no heap %s: %s: %s\n", g_getenv ("GST_DMA_HEAP") ? "FAIL" :
        "SKIP", heap_path (), step, g_strerror (err));
    srunner_free (srunner_create (suite));
    return g_getenv ("GST_DMA_HEAP") ? 1 : EXIT_SKIPPED;
  }
  close (data.fd);
  close (fd);

  g_print ("heap %s\n", fake_heap () ? "made up" : heap_path ());
  return gst_check_run_suite (suite, name, file);
}

#endif /* __TESTS_HEAP_H__ */
