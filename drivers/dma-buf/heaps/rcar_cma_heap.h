/* SPDX-License-Identifier: GPL-2.0 */
/*
 * R-Car media memory heap: what the driver shares with its KUnit tests
 */

#ifndef _RCAR_CMA_HEAP_H
#define _RCAR_CMA_HEAP_H

#include <linux/atomic.h>
#include <linux/dma-direction.h>
#include <linux/types.h>

struct cma;
struct device;
struct dma_buf;
struct page;
struct sg_table;

struct rcar_cma_region;

/**
 * struct rcar_cma_heap - a heap that allocates from a region
 * @region:	the region
 * @name:	name of the heap, of its node in /dev/dma_heap, and of the
 *		exporter of its buffers
 * @uncached:	whether the CPU maps its buffers write-combined
 *
 * Constant once the heap is registered.
 */
struct rcar_cma_heap {
	struct rcar_cma_region *region;
	const char *name;
	bool uncached;
};

/**
 * struct rcar_cma_region - a reserved region
 * @dev:	device of the region's node, for cache maintenance alone
 * @cma:	CMA area that the region is
 * @base:	physical address
 * @size:	size in bytes
 * @used:	bytes that buffers hold
 * @cached:	its heap of cached buffers
 * @uncached:	its heap of uncached buffers, on arm64
 * @uncached_name: room for the name of @uncached
 *
 * All but @used is constant once a heap of the region is registered. It lives
 * for ever, since dma-buf heaps cannot be unregistered.
 */
struct rcar_cma_region {
	struct device *dev;
	struct cma *cma;
	phys_addr_t base;
	size_t size;
	atomic_long_t used;
	struct rcar_cma_heap cached;
	struct rcar_cma_heap uncached;
	char uncached_name[];
};

#if IS_ENABLED(CONFIG_KUNIT)
bool rcar_cma_range_reachable(struct device *dev, phys_addr_t base,
			      size_t size);
unsigned int rcar_cma_heap_align_order(size_t size);
struct dma_buf *rcar_cma_heap_export(struct rcar_cma_heap *heap, size_t size,
				     u32 fd_flags);
int rcar_cma_heap_map_own(const struct rcar_cma_heap *heap, struct page *page,
			  size_t size, dma_addr_t *dma_addr);
const char *rcar_cma_rmem_fault(phys_addr_t base, phys_addr_t size);
int rcar_cma_heap_map_table(struct device *dev, struct sg_table *table,
			    enum dma_data_direction dir, unsigned long attrs);
#endif

#endif /* _RCAR_CMA_HEAP_H */
