/* SPDX-License-Identifier: GPL-2.0 */
/*
 * R-Car media memory heap: what the driver shares with its KUnit tests
 */

#ifndef _RCAR_CMA_HEAP_H
#define _RCAR_CMA_HEAP_H

#include <linux/atomic.h>
#include <linux/types.h>

struct cma;
struct dma_buf;

/**
 * struct rcar_cma_heap - a heap that allocates from one reserved region
 * @cma:	the region's CMA area
 * @name:	name of the heap, of its node in /dev/dma_heap, and of the
 *		exporter of its buffers
 * @size:	size of the region in bytes
 * @used:	bytes of the region that buffers of this heap hold
 *
 * All but @used is constant once the heap is registered. A heap lives for ever,
 * since dma-buf heaps cannot be unregistered.
 */
struct rcar_cma_heap {
	struct cma *cma;
	const char *name;
	size_t size;
	atomic_long_t used;
};

#if IS_ENABLED(CONFIG_KUNIT)
unsigned int rcar_cma_heap_align_order(size_t size);
struct dma_buf *rcar_cma_heap_export(struct rcar_cma_heap *heap, size_t size,
				     u32 fd_flags);
#endif

#endif /* _RCAR_CMA_HEAP_H */
