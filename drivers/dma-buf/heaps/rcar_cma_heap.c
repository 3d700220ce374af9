// SPDX-License-Identifier: GPL-2.0
/*
 * DMA-BUF heaps of Renesas R-Car media memory
 */

/**
 * DOC: overview
 *
 * The media devices of R-Car SoCs (VIN, VSP, FCP, DU, ISP) address 32 bits,
 * bypass the IOMMU and do not snoop CPU caches. The device tree reserves a
 * region that they reach, compatible "renesas,rcar-media-memory", which the
 * kernel may use for movable pages while no buffer needs it. This driver turns
 * each such region into a heap, named as the region's node.
 *
 * It has two halves. The early half runs while memory is still managed by
 * memblock; it accepts or refuses the region and makes a CMA area of it. The
 * other half binds to the platform device of the region's node and registers
 * the heap.
 *
 * A region is not visible to other CMA users, unless their device names it in
 * its "memory-region" property.
 */

#define pr_fmt(fmt) "rcar_cma_heap: " fmt

#include <linux/cma.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/err.h>
#include <linux/highmem.h>
#include <linux/init.h>
#include <linux/iosys-map.h>
#include <linux/list.h>
#include <linux/memblock.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/of.h>
#include <linux/of_fdt.h>
#include <linux/of_platform.h>
#include <linux/of_reserved_mem.h>
#include <linux/platform_device.h>
#include <linux/scatterlist.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <kunit/visibility.h>

#include "rcar_cma_heap.h"

#define RCAR_MEDIA_MEMORY_COMPATIBLE "renesas,rcar-media-memory"

/**
 * struct rcar_cma_buffer - the memory behind one dma-buf
 * @heap:		where the memory is from
 * @page:		first of the physically contiguous pages
 * @size:		size in bytes, a multiple of PAGE_SIZE
 * @lock:		protects @attachments, see below
 * @attachments:	list of struct rcar_cma_attachment
 *
 * The buffer lives as long as its dma-buf, which every user of the memory holds
 * a reference to: file descriptors, mappings, importers.
 *
 * Locking: @lock protects @attachments and the mapped state of each of them. It
 * is held across mapping, unmapping and cache maintenance, so that none of them
 * sees a scatterlist which another one is changing. dma_resv cannot serve for
 * it: dma_buf_begin_cpu_access() and dma_buf_end_cpu_access() run without it,
 * and importers may call them while they hold it. Order: dma_resv, then @lock.
 */
struct rcar_cma_buffer {
	struct rcar_cma_heap *heap;
	struct page *page;
	size_t size;
	struct mutex lock; /* see Locking above */
	struct list_head attachments;
};

/**
 * struct rcar_cma_attachment - an importer of a buffer
 * @dev:	device of the importer
 * @node:	entry in the buffer's list of attachments
 * @table:	scatterlist of this importer, always of one entry
 * @sgl:	the one entry of @table
 * @mapped:	whether @table is mapped for @dev
 */
struct rcar_cma_attachment {
	struct device *dev;
	struct list_head node;
	struct sg_table table;
	struct scatterlist sgl;
	bool mapped;
};

static int rcar_cma_buffer_attach(struct dma_buf *dmabuf,
				  struct dma_buf_attachment *attachment)
{
	struct rcar_cma_buffer *buffer = dmabuf->priv;
	struct rcar_cma_attachment *a;

	a = kzalloc_obj(*a);
	if (!a)
		return -ENOMEM;

	a->dev = attachment->dev;
	sg_init_table(&a->sgl, 1);
	sg_set_page(&a->sgl, buffer->page, buffer->size, 0);
	a->table.sgl = &a->sgl;
	a->table.nents = 1;
	a->table.orig_nents = 1;
	attachment->priv = a;

	mutex_lock(&buffer->lock);
	list_add(&a->node, &buffer->attachments);
	mutex_unlock(&buffer->lock);

	return 0;
}

static void rcar_cma_buffer_detach(struct dma_buf *dmabuf,
				   struct dma_buf_attachment *attachment)
{
	struct rcar_cma_buffer *buffer = dmabuf->priv;
	struct rcar_cma_attachment *a = attachment->priv;

	mutex_lock(&buffer->lock);
	list_del(&a->node);
	mutex_unlock(&buffer->lock);

	kfree(a);
}

static struct sg_table *rcar_cma_buffer_map(struct dma_buf_attachment *attachment,
					    enum dma_data_direction dir)
{
	struct rcar_cma_buffer *buffer = attachment->dmabuf->priv;
	struct rcar_cma_attachment *a = attachment->priv;
	int ret;

	mutex_lock(&buffer->lock);
	ret = dma_map_sgtable(a->dev, &a->table, dir, 0);
	if (!ret)
		a->mapped = true;
	mutex_unlock(&buffer->lock);

	return ret ? ERR_PTR(ret) : &a->table;
}

static void rcar_cma_buffer_unmap(struct dma_buf_attachment *attachment,
				  struct sg_table *table,
				  enum dma_data_direction dir)
{
	struct rcar_cma_buffer *buffer = attachment->dmabuf->priv;
	struct rcar_cma_attachment *a = attachment->priv;

	mutex_lock(&buffer->lock);
	a->mapped = false;
	dma_unmap_sgtable(a->dev, table, dir, 0);
	mutex_unlock(&buffer->lock);
}

static int rcar_cma_buffer_begin_cpu_access(struct dma_buf *dmabuf,
					    enum dma_data_direction dir)
{
	struct rcar_cma_buffer *buffer = dmabuf->priv;
	struct rcar_cma_attachment *a;

	mutex_lock(&buffer->lock);
	list_for_each_entry(a, &buffer->attachments, node)
		if (a->mapped)
			dma_sync_sgtable_for_cpu(a->dev, &a->table, dir);
	mutex_unlock(&buffer->lock);

	return 0;
}

static int rcar_cma_buffer_end_cpu_access(struct dma_buf *dmabuf,
					  enum dma_data_direction dir)
{
	struct rcar_cma_buffer *buffer = dmabuf->priv;
	struct rcar_cma_attachment *a;

	mutex_lock(&buffer->lock);
	list_for_each_entry(a, &buffer->attachments, node)
		if (a->mapped)
			dma_sync_sgtable_for_device(a->dev, &a->table, dir);
	mutex_unlock(&buffer->lock);

	return 0;
}

static int rcar_cma_buffer_mmap(struct dma_buf *dmabuf,
				struct vm_area_struct *vma)
{
	struct rcar_cma_buffer *buffer = dmabuf->priv;

	/* Copies of a buffer that devices write to are of no use to anyone. */
	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;

	/* The dma-buf core has checked that the range lies in the buffer. */
	return remap_pfn_range(vma, vma->vm_start,
			       page_to_pfn(buffer->page) + vma->vm_pgoff,
			       vma->vm_end - vma->vm_start, vma->vm_page_prot);
}

/* A mapping of its own for memory that the linear map does not hold. */
static void *rcar_cma_buffer_vmap_highmem(struct rcar_cma_buffer *buffer)
{
	unsigned long i, count = buffer->size >> PAGE_SHIFT;
	struct page **pages;
	void *vaddr;

	pages = kvmalloc_objs(*pages, count);
	if (!pages)
		return NULL;

	for (i = 0; i < count; i++)
		pages[i] = buffer->page + i;

	vaddr = vmap(pages, count, VM_MAP, PAGE_KERNEL);
	kvfree(pages);

	return vaddr;
}

/* The dma-buf core counts mappings and calls this for the first one alone. */
static int rcar_cma_buffer_vmap(struct dma_buf *dmabuf, struct iosys_map *map)
{
	struct rcar_cma_buffer *buffer = dmabuf->priv;
	void *vaddr;

	if (PageHighMem(buffer->page))
		vaddr = rcar_cma_buffer_vmap_highmem(buffer);
	else
		vaddr = page_address(buffer->page);
	if (!vaddr)
		return -ENOMEM;

	iosys_map_set_vaddr(map, vaddr);

	return 0;
}

static void rcar_cma_buffer_vunmap(struct dma_buf *dmabuf,
				   struct iosys_map *map)
{
	if (is_vmalloc_addr(map->vaddr))
		vunmap(map->vaddr);
}

/* Give the pages back. */
static void rcar_cma_buffer_free(struct rcar_cma_buffer *buffer)
{
	struct rcar_cma_heap *heap = buffer->heap;

	cma_release(heap->cma, buffer->page, buffer->size >> PAGE_SHIFT);
	atomic_long_sub(buffer->size, &heap->used);
	mutex_destroy(&buffer->lock);
	kfree(buffer);
}

static void rcar_cma_buffer_release(struct dma_buf *dmabuf)
{
	rcar_cma_buffer_free(dmabuf->priv);
}

static const struct dma_buf_ops rcar_cma_buffer_ops = {
	.attach = rcar_cma_buffer_attach,
	.detach = rcar_cma_buffer_detach,
	.map_dma_buf = rcar_cma_buffer_map,
	.unmap_dma_buf = rcar_cma_buffer_unmap,
	.begin_cpu_access = rcar_cma_buffer_begin_cpu_access,
	.end_cpu_access = rcar_cma_buffer_end_cpu_access,
	.mmap = rcar_cma_buffer_mmap,
	.vmap = rcar_cma_buffer_vmap,
	.vunmap = rcar_cma_buffer_vunmap,
	.release = rcar_cma_buffer_release,
};

/**
 * rcar_cma_heap_align_order - alignment of a buffer
 * @size:	size of the buffer in bytes
 *
 * Buffers start on 2 MiB, which a CPU with pages of 4 KiB can map with one entry
 * for each 2 MiB, where rounding the size up to that would waste at most 1/8 of
 * it. Others start on 16 KiB, the largest alignment that any R-Car media
 * device asks for (tile-linear frames of the FCP): a frame of 1080p on 2 MiB
 * would cost a quarter of the region.
 *
 * Context: any.
 *
 * Return: the alignment as an order of pages.
 */
VISIBLE_IF_KUNIT unsigned int rcar_cma_heap_align_order(size_t size)
{
	if (ALIGN(size, SZ_2M) - size <= size / 8)
		return get_order(SZ_2M);

	return get_order(SZ_16K);
}
EXPORT_SYMBOL_IF_KUNIT(rcar_cma_heap_align_order);

/*
 * Zero pages that held somebody else's data. A large buffer takes tens of
 * milliseconds, so a process that has been killed does not finish it.
 */
static int rcar_cma_heap_clear(struct page *page, unsigned long count)
{
	while (count) {
		unsigned long i, batch = min(count, SZ_2M / PAGE_SIZE);

		if (fatal_signal_pending(current))
			return -EINTR;

		for (i = 0; i < batch; i++)
			clear_highpage(page + i);
		cond_resched();

		page += batch;
		count -= batch;
	}

	return 0;
}

/* Devices that name the region in their "memory-region" are not counted. */
static void rcar_cma_heap_warn_full(struct rcar_cma_heap *heap, size_t size)
{
	size_t free = heap->size - atomic_long_read(&heap->used);

	pr_warn_ratelimited("%s: no %zu KiB in one piece, %zu of %zu pages are free\n",
			    heap->name, size / SZ_1K, free >> PAGE_SHIFT,
			    heap->size >> PAGE_SHIFT);
}

static struct rcar_cma_buffer *rcar_cma_buffer_alloc(struct rcar_cma_heap *heap,
						     size_t size)
{
	unsigned long count = size >> PAGE_SHIFT;
	struct rcar_cma_buffer *buffer;
	int ret;

	/* What can never fit need not be searched for. */
	if (size > heap->size) {
		rcar_cma_heap_warn_full(heap, size);
		return ERR_PTR(-ENOMEM);
	}

	buffer = kzalloc_obj(*buffer);
	if (!buffer)
		return ERR_PTR(-ENOMEM);

	buffer->page = cma_alloc(heap->cma, count,
				 rcar_cma_heap_align_order(size), true);
	if (!buffer->page) {
		/* A fatal signal ends the migration of pages, too. */
		if (fatal_signal_pending(current)) {
			ret = -EINTR;
		} else {
			rcar_cma_heap_warn_full(heap, size);
			ret = -ENOMEM;
		}
		goto err_free_buffer;
	}

	ret = rcar_cma_heap_clear(buffer->page, count);
	if (ret)
		goto err_release_pages;

	buffer->heap = heap;
	buffer->size = size;
	mutex_init(&buffer->lock);
	INIT_LIST_HEAD(&buffer->attachments);
	atomic_long_add(size, &heap->used);

	return buffer;

err_release_pages:
	cma_release(heap->cma, buffer->page, count);
err_free_buffer:
	kfree(buffer);

	return ERR_PTR(ret);
}

/**
 * rcar_cma_heap_export - allocate a buffer and export it as a dma-buf
 * @heap:	heap to allocate from
 * @size:	size of the buffer in bytes, a multiple of PAGE_SIZE and not 0
 * @fd_flags:	access mode of the dma-buf, O_RDONLY, O_WRONLY or O_RDWR
 *
 * The memory is physically contiguous, zeroed, and aligned as
 * rcar_cma_heap_align_order() says. It returns to the region with the last
 * reference to the dma-buf.
 *
 * Context: process context, may sleep for as long as it takes to move other
 * pages out of the region.
 *
 * Return: the dma-buf, or an ERR_PTR(): -ENOMEM when the region has no room,
 * -EINTR when the process was killed meanwhile, or an errno of
 * dma_buf_export().
 */
VISIBLE_IF_KUNIT struct dma_buf *rcar_cma_heap_export(struct rcar_cma_heap *heap,
						      size_t size, u32 fd_flags)
{
	DEFINE_DMA_BUF_EXPORT_INFO(exp_info);
	struct rcar_cma_buffer *buffer;
	struct dma_buf *dmabuf;

	buffer = rcar_cma_buffer_alloc(heap, size);
	if (IS_ERR(buffer))
		return ERR_CAST(buffer);

	exp_info.exp_name = heap->name;
	exp_info.ops = &rcar_cma_buffer_ops;
	exp_info.size = size;
	exp_info.flags = fd_flags;
	exp_info.priv = buffer;
	dmabuf = dma_buf_export(&exp_info);
	if (IS_ERR(dmabuf))
		rcar_cma_buffer_free(buffer);

	return dmabuf;
}
EXPORT_SYMBOL_IF_KUNIT(rcar_cma_heap_export);

static struct dma_buf *rcar_cma_heap_allocate(struct dma_heap *dma_heap,
					      unsigned long len, u32 fd_flags,
					      u64 heap_flags)
{
	return rcar_cma_heap_export(dma_heap_get_drvdata(dma_heap), len,
				    fd_flags);
}

static const struct dma_heap_ops rcar_cma_heap_ops = {
	.allocate = rcar_cma_heap_allocate,
};

static const struct of_device_id rcar_cma_heap_of_match[] = {
	{ .compatible = RCAR_MEDIA_MEMORY_COMPATIBLE },
	{}
};

/*
 * The first node of a name in the device tree has the short name, be its region
 * usable or not, so that no heap's name depends on the fate of another one.
 */
static bool __init rcar_cma_heap_owns_name(struct device_node *np)
{
	struct device_node *other;
	bool first;

	for_each_matching_node(other, rcar_cma_heap_of_match)
		if (of_device_is_available(other) &&
		    !strcmp(other->name, np->name))
			break;

	first = other == np;
	of_node_put(other);

	return first;
}

static int __init rcar_cma_heap_add(struct rcar_cma_heap *heap, const char *name)
{
	struct dma_heap_export_info exp_info = {
		.name = name,
		.ops = &rcar_cma_heap_ops,
		.priv = heap,
	};

	heap->name = name;

	return PTR_ERR_OR_ZERO(dma_heap_add(&exp_info));
}

/*
 * Register a heap under the name of its node. Where that is taken, by another
 * region or by a heap of another kind, the unit address is kept in the name.
 */
static int __init rcar_cma_heap_register(struct rcar_cma_heap *heap,
					 struct device *dev)
{
	struct device_node *np = dev->of_node;
	const char *full_name = kbasename(np->full_name);
	int ret = -EEXIST;

	if (rcar_cma_heap_owns_name(np))
		ret = rcar_cma_heap_add(heap, np->name);

	if (ret != -EEXIST)
		return ret;

	dev_warn(dev, "heap name %s is taken: give the node a name of its own\n",
		 np->name);
	if (!strcmp(full_name, np->name))
		return ret;

	return rcar_cma_heap_add(heap, full_name);
}

static int __init rcar_cma_heap_probe(struct platform_device *pdev)
{
	struct device *dev = &pdev->dev;
	struct rcar_cma_heap *heap;
	struct reserved_mem *rmem;
	int ret;

	rmem = of_reserved_mem_lookup(dev->of_node);
	if (!rmem) {
		dev_err(dev, "no heap: the region was refused or did not fit, see the log above, and check reg, or size and alloc-ranges\n");
		return -ENODEV;
	}

	/* Refused by rcar_cma_rmem_init(), which has said why. */
	if (!rmem->priv)
		return -ENODEV;

	/* The area is empty if it could not be activated. */
	if (cma_get_size(rmem->priv) != rmem->size) {
		dev_err(dev, "no heap: the CMA area could not be activated, does the region straddle memory zones?\n");
		return -ENODEV;
	}

	heap = kzalloc_obj(*heap);
	if (!heap)
		return -ENOMEM;

	heap->cma = rmem->priv;
	heap->size = rmem->size;

	/* Nothing can be undone once this has succeeded. */
	ret = rcar_cma_heap_register(heap, dev);
	if (ret) {
		kfree(heap);
		return dev_err_probe(dev, ret, "no heap %s\n",
				     dev->of_node->name);
	}

	/* Heaps use the strings of the node. */
	of_node_get(dev->of_node);
	dev_info(dev, "heap %s: %zu MiB\n", heap->name, heap->size / SZ_1M);

	return 0;
}

static struct platform_driver rcar_cma_heap_driver = {
	.driver = {
		.name = "rcar_cma_heap",
		.of_match_table = rcar_cma_heap_of_match,
	},
};

static int __init rcar_cma_heap_init(void)
{
	struct device_node *np;

	/* Does nothing for nodes that the OF core has made a device of. */
	for_each_matching_node(np, rcar_cma_heap_of_match)
		of_platform_device_create(np, NULL, NULL);

	/* Leaves no way to unbind: a heap cannot be removed. */
	return platform_driver_probe(&rcar_cma_heap_driver, rcar_cma_heap_probe);
}
device_initcall(rcar_cma_heap_init);

/*
 * The early half. Errors of node_validate() other than -ENODEV would make the
 * OF core skip the reservation, and memory of the firmware would become
 * ordinary RAM. Hence -ENODEV for what is no region of ours: it stays reserved
 * without a heap. An error of node_init() gives the memory back to the kernel,
 * which is right for a region that is ours and unusable.
 */

static bool __init rcar_cma_rmem_is_reusable(unsigned long node)
{
	return of_get_flat_dt_prop(node, "reusable", NULL) &&
	       !of_get_flat_dt_prop(node, "no-map", NULL);
}

/* What is wrong with a region, and what to write; NULL if it is usable. */
static const char * __init rcar_cma_rmem_fault(phys_addr_t base,
					       phys_addr_t size)
{
	if (!IS_ALIGNED(base | size, CMA_MIN_ALIGNMENT_BYTES))
		return "write base and size as multiples of the alignment";

	/*
	 * Not every importer could be refused later: the DU attaches with 40
	 * bits and lets the VSP, which has 32, map the pages once more.
	 */
	if (base + size > SZ_4G)
		return "write reg or alloc-ranges below 4 GiB, where bus masters reach it";

	if (!memblock_is_region_memory(base, size))
		return "write a reg that is all memory, and see mem= on the command line";

	return NULL;
}

static int __init rcar_cma_rmem_validate(unsigned long node, phys_addr_t *align)
{
	if (!rcar_cma_rmem_is_reusable(node))
		return -ENODEV;

	if (align)
		*align = max_t(phys_addr_t, *align, CMA_MIN_ALIGNMENT_BYTES);

	return 0;
}

/* Mappings are changed for regions alone that will be used: none is undone. */
static int __init rcar_cma_rmem_fixup(unsigned long node, phys_addr_t base,
				      phys_addr_t size)
{
	if (!rcar_cma_rmem_is_reusable(node) || rcar_cma_rmem_fault(base, size))
		return -ENODEV;

	dma_contiguous_early_fixup(base, size);

	return 0;
}

static int __init rcar_cma_rmem_init(unsigned long node,
				     struct reserved_mem *rmem)
{
	const char *fault;
	struct cma *cma;
	int ret;

	if (!rcar_cma_rmem_is_reusable(node)) {
		pr_err("%s: stays reserved without a heap: write 'reusable' and no 'no-map' to get one\n",
		       rmem->name);
		return -ENODEV;
	}

	fault = rcar_cma_rmem_fault(rmem->base, rmem->size);
	if (fault) {
		pr_err("%s: refused: %s (base %pa, size %pa, alignment %lu KiB)\n",
		       rmem->name, fault, &rmem->base, &rmem->size,
		       CMA_MIN_ALIGNMENT_BYTES / SZ_1K);
		return -EINVAL;
	}

	ret = cma_init_reserved_mem(rmem->base, rmem->size, 0, rmem->name, &cma);
	if (ret) {
		pr_err("%s: refused: no CMA area (%pe), CONFIG_CMA_AREAS may be too small\n",
		       rmem->name, ERR_PTR(ret));
		return ret;
	}

	rmem->priv = cma;

	return 0;
}

/* For media devices that name the region in their "memory-region" property. */
static int rcar_cma_rmem_device_init(struct reserved_mem *rmem,
				     struct device *dev)
{
	dev->cma_area = rmem->priv;

	return 0;
}

static void rcar_cma_rmem_device_release(struct reserved_mem *rmem,
					 struct device *dev)
{
	dev->cma_area = NULL;
}

static const struct reserved_mem_ops rcar_cma_rmem_ops = {
	.node_validate = rcar_cma_rmem_validate,
	.node_fixup = rcar_cma_rmem_fixup,
	.node_init = rcar_cma_rmem_init,
	.device_init = rcar_cma_rmem_device_init,
	.device_release = rcar_cma_rmem_device_release,
};

RESERVEDMEM_OF_DECLARE(rcar_media_memory, RCAR_MEDIA_MEMORY_COMPATIBLE,
		       &rcar_cma_rmem_ops);
