/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A dma-buf heap that is made up, for machines without one
 */

#ifndef __FAKE_HEAP_H__
#define __FAKE_HEAP_H__

/* Exported as the symbol fake_heap. What counts, counts up; what is to fail,
 * counts down to zero. */
struct fake_heap
{
  int allocs;
  int sync_start_read;
  int sync_start_write;
  int sync_end;
  int polls;                    /* for fences */

  int interrupt_allocs;         /* with EINTR */
  int fail_allocs;              /* with ENOMEM */
  int interrupt_syncs;          /* with EINTR */
  int fail_syncs;               /* with EIO */
  int interrupt_polls;          /* with EINTR */
  int busy_polls;               /* whose time runs out at once */
};

#endif /* __FAKE_HEAP_H__ */
