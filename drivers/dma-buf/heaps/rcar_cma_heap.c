// SPDX-License-Identifier: GPL-2.0
/*
 * DMA-BUF heaps of Renesas R-Car media memory
 */

/**
 * DOC: overview
 *
 * The media devices of R-Car SoCs (VIN, ISP, FCP, VSP) address 32 bits,
 * bypass the IOMMU and do not snoop CPU caches. The device tree reserves a
 * region that they reach, compatible "renesas,rcar-media-memory", which the
 * kernel may use for movable pages while no buffer needs it. This driver turns
 * each such region into two heaps. The one named as the region's node has
 * cached buffers, the other one, with "-uncached" added, has buffers that the CPU
 * maps write-combined. 32-bit Arm has the former alone.
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
#include <linux/device.h>
#include <linux/dma-buf.h>
#include <linux/dma-direct.h>
#include <linux/dma-heap.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/err.h>
#include <linux/highmem.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/iommu-dma.h>
#include <linux/iosys-map.h>
#include <linux/memblock.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/of.h>
#include <linux/of_fdt.h>
#include <linux/of_platform.h>
#include <linux/of_reserved_mem.h>
#include <linux/pagemap.h>
#include <linux/pgtable.h>
#include <linux/platform_device.h>
#include <linux/scatterlist.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/swiotlb.h>
#include <linux/vmalloc.h>
#include <linux/wordpart.h>
#include <kunit/static_stub.h>
#include <kunit/visibility.h>

#include "rcar_cma_heap.h"

#define RCAR_MEDIA_MEMORY_COMPATIBLE "renesas,rcar-media-memory"

/* What the name of a region's uncached heap has after the one of the cached heap. */
#define UNCACHED_SUFFIX "-uncached"

/**
 * struct rcar_cma_buffer - the memory behind one dma-buf
 * @heap:		where the memory is from
 * @page:		first of the physically contiguous pages
 * @size:		size in bytes, a multiple of PAGE_SIZE
 * @dma_addr:		bidirectional mapping of the whole buffer for the region's
 *			own device, which nothing but cache maintenance uses
 * @noncoherent_maps:	number of mapped importers that do not snoop CPU caches
 *
 * The buffer lives as long as its dma-buf, which every user of the memory holds
 * a reference to: file descriptors, mappings, importers.
 *
 * Cache maintenance: mapping a buffer makes what the CPU wrote visible to the
 * importer, unmapping it the other way round. CPU access between them, in
 * begin_cpu_access() and end_cpu_access(), needs one operation on the caches
 * however many importers there are, since all that do not snoop see the same
 * memory. It needs none while no such importer has the buffer mapped. The
 * operation goes through @dma_addr, since the mapping of an importer may have
 * another direction.
 *
 * A buffer of an uncached heap has no dirty line in any cache from the moment it
 * is exported, needs no maintenance, and leaves @noncoherent_maps alone. The linear
 * map keeps a cached alias of it, as it does of memory of dma_alloc_coherent(). The
 * CPU may fetch clean lines through that at any time, but never writes one back,
 * since nothing writes through it. An importer that snoops could hit such a line,
 * and is refused.
 *
 * Locking: the dma-buf's dma_resv protects @noncoherent_maps and is held across
 * mapping, unmapping and cache maintenance. For the first two the importer takes
 * it, for CPU access the driver does: the locking convention of dma-buf forbids
 * callers to hold it there. It orders one call against another one, so that no
 * importer is counted too late to be taken care of. Users who have the buffer in
 * CPU access at once, or while a device writes to it or gives up a mapping that it
 * may write to, which drops what the CPU wrote, have to order that among themselves,
 * as with any dma-buf.
 */
struct rcar_cma_buffer {
	struct rcar_cma_heap *heap;
	struct page *page;
	size_t size;
	dma_addr_t dma_addr;
	unsigned int noncoherent_maps;
};

/**
 * struct rcar_cma_attachment - an importer of a buffer
 * @dev:	 device of the importer
 * @table:	 scatterlist of this importer, always of one entry
 * @sgl:	 the one entry of @table
 * @noncoherent: whether @table is mapped and counted as not snooping
 */
struct rcar_cma_attachment {
	struct device *dev;
	struct sg_table table;
	struct scatterlist sgl;
	bool noncoherent;
};

/*
 * All mappings of a buffer share its cache lines: those of its importers, and its
 * own. The DMA API's debugging would report that. The CPU writes to such lines in
 * CPU access alone, whose end writes them back.
 */
#define RCAR_CMA_MAP_ATTRS	DMA_ATTR_DEBUGGING_IGNORE_CACHELINES
#define RCAR_CMA_UNCACHED_ATTRS	(RCAR_CMA_MAP_ATTRS | DMA_ATTR_SKIP_CPU_SYNC)

/**
 * rcar_cma_range_reachable - can a device access memory without copies of it
 * @dev:	device that would map the memory
 * @base:	physical address
 * @size:	size in bytes, not 0
 *
 * Where the device's DMA mask, the limit of its bus, or swiotlb=force on the
 * command line keep it from the memory, the direct mapping would copy a buffer
 * to memory that it reaches. Nothing tells the importer so, and other importers
 * do not see the copy. These are the conditions of dma_direct_map_phys(), as far
 * as they depend on the address, asked beforehand. Like that one it looks at both
 * ends. Nothing in the DMA API tells afterwards that the buffer of a device which
 * does not snoop was bounced.
 *
 * An IOMMU that translates reaches all memory. With an identity domain the
 * mapping is direct. What other DMA operations do, those of Xen for one, is not
 * known here.
 *
 * The answer is the one of this moment: a driver may set its mask after it has
 * attached.
 *
 * Context: any.
 *
 * Return: true if the device reaches all of the memory.
 */
VISIBLE_IF_KUNIT bool rcar_cma_range_reachable(struct device *dev,
					       phys_addr_t base, size_t size)
{
	dma_addr_t start, end;

	if (!dev->dma_mask)
		return false;

	/* Those on 32-bit Arm that are no iommu-dma are operations of their own. */
	if (use_dma_iommu(dev) ||
	    (get_dma_ops(dev) && device_iommu_mapped(dev)))
		return true;

	if (get_dma_ops(dev) || is_swiotlb_force_bounce(dev))
		return false;

	/* All ones where the bus does not translate the address. */
	start = phys_to_dma(dev, base);
	end = phys_to_dma(dev, base + size - 1);

	/* An address on the bus may have no more than 32 bits, and wrap. */
	return end >= start && end - start == size - 1 &&
	       end <= min_not_zero(*dev->dma_mask, dev->bus_dma_limit);
}
EXPORT_SYMBOL_IF_KUNIT(rcar_cma_range_reachable);

/*
 * Refuse an importer that would be given a copy. It is the region that counts and
 * not the buffer: a device that reaches a part of it would work until memory gets
 * short.
 */
static int rcar_cma_buffer_check_reach(struct rcar_cma_buffer *buffer,
				       struct device *dev)
{
	struct rcar_cma_region *region = buffer->heap->region;
	phys_addr_t end = region->base + region->size - 1;

	if (rcar_cma_range_reachable(dev, region->base, region->size))
		return 0;

	pr_warn_ratelimited("%s: refused to map for %s: mask 0x%llx, bus limit 0x%llx%s, region %pap to %pap\n",
			    buffer->heap->name, dev_name(dev),
			    dev->dma_mask ? *dev->dma_mask : 0,
			    dev->bus_dma_limit,
			    is_swiotlb_force_bounce(dev) ? ", swiotlb forced" : "",
			    &region->base, &end);

	return -EOPNOTSUPP;
}

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

	return 0;
}

static void rcar_cma_buffer_detach(struct dma_buf *dmabuf,
				   struct dma_buf_attachment *attachment)
{
	kfree(attachment->priv);
}

/**
 * rcar_cma_heap_map_table - map a buffer for an importer
 * @dev:	device of the importer
 * @table:	scatterlist of the buffer
 * @dir:	direction of the transfer
 * @attrs:	attributes of the DMA API
 *
 * A function of its own for tests, which have it fail.
 *
 * Context: process context, the dma_resv of the dma-buf is held.
 *
 * Return: 0 or an errno of dma_map_sgtable().
 */
VISIBLE_IF_KUNIT int rcar_cma_heap_map_table(struct device *dev,
					     struct sg_table *table,
					     enum dma_data_direction dir,
					     unsigned long attrs)
{
	KUNIT_STATIC_STUB_REDIRECT(rcar_cma_heap_map_table, dev, table, dir,
				   attrs);

	return dma_map_sgtable(dev, table, dir, attrs);
}
EXPORT_SYMBOL_IF_KUNIT(rcar_cma_heap_map_table);

static struct sg_table *rcar_cma_buffer_map(struct dma_buf_attachment *attachment,
					    enum dma_data_direction dir)
{
	struct rcar_cma_buffer *buffer = attachment->dmabuf->priv;
	struct rcar_cma_attachment *a = attachment->priv;
	int ret;

	/* Not when it attached: its mask is final only now. */
	ret = rcar_cma_buffer_check_reach(buffer, a->dev);
	if (ret)
		return ERR_PTR(ret);

	ret = rcar_cma_heap_map_table(a->dev, &a->table, dir,
				      RCAR_CMA_MAP_ATTRS);
	if (ret)
		return ERR_PTR(ret);

	a->noncoherent = !dev_is_dma_coherent(a->dev);
	buffer->noncoherent_maps += a->noncoherent;

	return &a->table;
}

static void rcar_cma_buffer_unmap(struct dma_buf_attachment *attachment,
				  struct sg_table *table,
				  enum dma_data_direction dir)
{
	struct rcar_cma_buffer *buffer = attachment->dmabuf->priv;
	struct rcar_cma_attachment *a = attachment->priv;

	buffer->noncoherent_maps -= a->noncoherent;
	dma_unmap_sgtable(a->dev, table, dir, RCAR_CMA_MAP_ATTRS);
}

static struct sg_table *
rcar_cma_buffer_map_uncached(struct dma_buf_attachment *attachment,
			     enum dma_data_direction dir)
{
	struct rcar_cma_buffer *buffer = attachment->dmabuf->priv;
	struct rcar_cma_attachment *a = attachment->priv;
	int ret;

	ret = rcar_cma_buffer_check_reach(buffer, a->dev);
	if (ret)
		return ERR_PTR(ret);

	if (dev_is_dma_coherent(a->dev)) {
		pr_warn_ratelimited("%s: refused to map for %s, which snoops CPU caches: allocate from the cached heap\n",
				    buffer->heap->name, dev_name(a->dev));
		return ERR_PTR(-EOPNOTSUPP);
	}

	ret = rcar_cma_heap_map_table(a->dev, &a->table, dir,
				      RCAR_CMA_UNCACHED_ATTRS);

	return ret ? ERR_PTR(ret) : &a->table;
}

static void rcar_cma_buffer_unmap_uncached(struct dma_buf_attachment *attachment,
					   struct sg_table *table,
					   enum dma_data_direction dir)
{
	struct rcar_cma_attachment *a = attachment->priv;

	dma_unmap_sgtable(a->dev, table, dir, RCAR_CMA_UNCACHED_ATTRS);
}

static bool rcar_cma_buffer_needs_sync(struct dma_buf *dmabuf)
{
	struct rcar_cma_buffer *buffer = dmabuf->priv;

	dma_resv_assert_held(dmabuf->resv);

	return buffer->noncoherent_maps;
}

static int rcar_cma_buffer_begin_cpu_access(struct dma_buf *dmabuf,
					    enum dma_data_direction dir)
{
	struct rcar_cma_buffer *buffer = dmabuf->priv;
	long ret;

	/*
	 * The core waits for fences after this. That is too late for caches: the
	 * CPU might fetch lines again that a device has yet to write.
	 */
	ret = dma_resv_wait_timeout(dmabuf->resv,
				    dma_resv_usage_rw(dir != DMA_FROM_DEVICE),
				    true, MAX_SCHEDULE_TIMEOUT);
	if (ret < 0)
		return ret;

	dma_resv_lock(dmabuf->resv, NULL);
	if (rcar_cma_buffer_needs_sync(dmabuf))
		dma_sync_single_for_cpu(buffer->heap->region->dev,
					buffer->dma_addr, buffer->size, dir);
	dma_resv_unlock(dmabuf->resv);

	return 0;
}

static int rcar_cma_buffer_end_cpu_access(struct dma_buf *dmabuf,
					  enum dma_data_direction dir)
{
	struct rcar_cma_buffer *buffer = dmabuf->priv;

	dma_resv_lock(dmabuf->resv, NULL);
	if (rcar_cma_buffer_needs_sync(dmabuf))
		dma_sync_single_for_device(buffer->heap->region->dev,
					   buffer->dma_addr, buffer->size, dir);
	dma_resv_unlock(dmabuf->resv);

	return 0;
}

static unsigned long rcar_cma_vma_pfn(const struct vm_area_struct *vma,
				      unsigned long addr)
{
	struct rcar_cma_buffer *buffer = vma->vm_private_data;

	return page_to_pfn(buffer->page) + linear_page_index(vma, addr);
}

/* Can one entry map the PMD_SIZE from @addr on, which is a multiple of that? */
static bool rcar_cma_vma_fits_pmd(const struct vm_area_struct *vma,
				  unsigned long addr)
{
	return addr >= vma->vm_start && addr + PMD_SIZE <= vma->vm_end &&
	       IS_ALIGNED(PFN_PHYS(rcar_cma_vma_pfn(vma, addr)), PMD_SIZE);
}

#ifdef CONFIG_ARCH_SUPPORTS_PMD_PFNMAP
static vm_fault_t rcar_cma_vma_huge_fault(struct vm_fault *vmf,
					  unsigned int order)
{
	struct vm_area_struct *vma = vmf->vma;
	unsigned long addr = ALIGN_DOWN(vmf->address, PMD_SIZE);

	if (order != PMD_ORDER || !rcar_cma_vma_fits_pmd(vma, addr))
		return VM_FAULT_FALLBACK;

	return vmf_insert_pfn_pmd(vmf, rcar_cma_vma_pfn(vma, addr),
				  vmf->flags & FAULT_FLAG_WRITE);
}
#endif

/*
 * Where the mm has no huge entry: a part of its 2 MiB has been unmapped, moved or
 * protected, or the process has forbidden itself huge pages. Such a fault brings all
 * of the PMD that is in the VMA, as the huge one would have.
 */
static vm_fault_t rcar_cma_vma_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	unsigned long pmd = ALIGN_DOWN(vmf->address, PMD_SIZE);
	unsigned long addr = max(pmd, vma->vm_start);
	unsigned long end = min(pmd + PMD_SIZE, vma->vm_end);
	vm_fault_t ret;

	ret = vmf_insert_pfn(vma, vmf->address, rcar_cma_vma_pfn(vma, vmf->address));

	/* Entries that are there stay. Others are not what the fault is about. */
	for (; ret == VM_FAULT_NOPAGE && addr < end; addr += PAGE_SIZE)
		if (vmf_insert_pfn(vma, addr, rcar_cma_vma_pfn(vma, addr)) !=
		    VM_FAULT_NOPAGE)
			break;

	return ret;
}

static const struct vm_operations_struct rcar_cma_vm_ops = {
	.fault = rcar_cma_vma_fault,
#ifdef CONFIG_ARCH_SUPPORTS_PMD_PFNMAP
	.huge_fault = rcar_cma_vma_huge_fault,
#endif
};

static int rcar_cma_vma_remap(struct vm_area_struct *vma, unsigned long start,
			      unsigned long end)
{
	if (start == end)
		return 0;

	return remap_pfn_range(vma, start, rcar_cma_vma_pfn(vma, start),
			       end - start, vma->vm_page_prot);
}

/*
 * Pages are mapped here, since to insert them by faults costs many times that. Where
 * address and memory agree modulo PMD_SIZE, this is for what lies before and after
 * the whole PMDs alone. Those take a fault each, and no page table.
 */
static int rcar_cma_buffer_mmap(struct dma_buf *dmabuf,
				struct vm_area_struct *vma)
{
	struct rcar_cma_buffer *buffer = dmabuf->priv;
	unsigned long start, end;
	int ret;

	/* Copies of a buffer that devices write to are of no use to anyone. */
	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;

	/* The dma-buf core has checked that the range lies in the buffer. */
	vma->vm_private_data = buffer;
	vma->vm_ops = &rcar_cma_vm_ops;
	/* Those of remap_pfn_range(), in case that there is nothing to remap. */
	vm_flags_set(vma, VM_IO | VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	if (buffer->heap->uncached)
		vma->vm_page_prot = pgprot_writecombine(vma->vm_page_prot);

	start = ALIGN(vma->vm_start, PMD_SIZE);
	end = ALIGN_DOWN(vma->vm_end, PMD_SIZE);
	if (!IS_ENABLED(CONFIG_ARCH_SUPPORTS_PMD_PFNMAP) ||
	    !rcar_cma_vma_fits_pmd(vma, start)) {
		start = vma->vm_end;
		end = vma->vm_end;
	}

	ret = rcar_cma_vma_remap(vma, vma->vm_start, start);
	if (ret)
		return ret;

	return rcar_cma_vma_remap(vma, end, vma->vm_end);
}

/*
 * A mapping of its own for memory that the linear map does not hold, or not so. vmap()
 * would want an array of the pages, and map each.
 */
static void *rcar_cma_buffer_vmap_pages(struct rcar_cma_buffer *buffer,
					pgprot_t prot)
{
	struct vm_struct *area;
	unsigned long start;

	/* Aligned for whole PMDs; where there is highmem, that takes too much room. */
	area = get_vm_area(buffer->size,
			   buffer->heap->uncached ? VM_IOREMAP : VM_MAP);
	if (!area)
		return NULL;

	start = (unsigned long)area->addr;
	if (vmap_page_range(start, start + buffer->size,
			    page_to_phys(buffer->page), prot)) {
		free_vm_area(area);
		return NULL;
	}

	return area->addr;
}

/* The dma-buf core counts mappings and calls this for the first one alone. */
static int rcar_cma_buffer_vmap(struct dma_buf *dmabuf, struct iosys_map *map)
{
	struct rcar_cma_buffer *buffer = dmabuf->priv;
	void *vaddr;

	if (buffer->heap->uncached)
		vaddr = rcar_cma_buffer_vmap_pages(buffer,
						   pgprot_writecombine(PAGE_KERNEL));
	else if (PageHighMem(buffer->page))
		vaddr = rcar_cma_buffer_vmap_pages(buffer, PAGE_KERNEL);
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

/**
 * rcar_cma_heap_map_own - map a buffer for the region's own device
 * @heap:	heap that the buffer is of
 * @page:	first page of the buffer
 * @size:	size of the buffer in bytes
 * @dma_addr:	where the address of the mapping goes
 *
 * The zeroes of an uncached buffer are written back, before anything else of the
 * buffer can be in memory. They are not invalidated: the CPU may fetch clean lines
 * again at any time through the linear map.
 *
 * For a cached buffer on arm64 this touches no cache: an importer that maps it
 * writes the zeroes back, whatever its direction. On 32-bit Arm one that maps it
 * DMA_FROM_DEVICE drops them instead, and what the memory held before would be
 * there again, so they are written back here.
 *
 * Context: process context.
 *
 * Return: 0, or -ENOMEM when the DMA API refuses.
 */
VISIBLE_IF_KUNIT int rcar_cma_heap_map_own(const struct rcar_cma_heap *heap,
					   struct page *page, size_t size,
					   dma_addr_t *dma_addr)
{
	struct device *dev = heap->region->dev;
	unsigned long attrs = RCAR_CMA_MAP_ATTRS;

	KUNIT_STATIC_STUB_REDIRECT(rcar_cma_heap_map_own, heap, page, size,
				   dma_addr);

	if (IS_ENABLED(CONFIG_ARM64) && !heap->uncached)
		attrs |= DMA_ATTR_SKIP_CPU_SYNC;

	*dma_addr = dma_map_page_attrs(dev, page, 0, size, DMA_BIDIRECTIONAL,
				       attrs);

	return dma_mapping_error(dev, *dma_addr);
}
EXPORT_SYMBOL_IF_KUNIT(rcar_cma_heap_map_own);

static void rcar_cma_heap_unmap_own(struct device *dev, dma_addr_t dma_addr,
				    size_t size)
{
	dma_unmap_page_attrs(dev, dma_addr, size, DMA_BIDIRECTIONAL,
			     RCAR_CMA_MAP_ATTRS | DMA_ATTR_SKIP_CPU_SYNC);
}

/* Give the pages back. */
static void rcar_cma_buffer_free(struct rcar_cma_buffer *buffer)
{
	struct rcar_cma_region *region = buffer->heap->region;

	rcar_cma_heap_unmap_own(region->dev, buffer->dma_addr, buffer->size);
	/* First, so that it is never more than the region. */
	atomic_long_sub(buffer->size, &region->used);
	cma_release(region->cma, buffer->page, buffer->size >> PAGE_SHIFT);
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

/* No CPU access to prepare: its mappings neither read from a cache nor write to one. */
static const struct dma_buf_ops rcar_cma_buffer_uncached_ops = {
	.attach = rcar_cma_buffer_attach,
	.detach = rcar_cma_buffer_detach,
	.map_dma_buf = rcar_cma_buffer_map_uncached,
	.unmap_dma_buf = rcar_cma_buffer_unmap_uncached,
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

		if (PageHighMem(page))
			for (i = 0; i < batch; i++)
				clear_highpage(page + i);
		else /* clear_pages() is a call per page on arm and arm64 */
			memset(page_address(page), 0, batch * PAGE_SIZE);
		cond_resched();

		page += batch;
		count -= batch;
	}

	return 0;
}

/* Devices that name the region in their "memory-region" are not counted. */
static void rcar_cma_heap_warn_full(struct rcar_cma_heap *heap, size_t size)
{
	struct rcar_cma_region *region = heap->region;
	size_t free = region->size - atomic_long_read(&region->used);

	pr_warn_ratelimited("%s: no %zu KiB in one piece, %zu of %zu pages are free\n",
			    heap->name, size / SZ_1K, free >> PAGE_SHIFT,
			    region->size >> PAGE_SHIFT);
}

static struct rcar_cma_buffer *rcar_cma_buffer_alloc(struct rcar_cma_heap *heap,
						     size_t size)
{
	struct rcar_cma_region *region = heap->region;
	unsigned long count = size >> PAGE_SHIFT;
	struct rcar_cma_buffer *buffer;
	int ret;

	/* What can never fit need not be searched for. */
	if (size > region->size) {
		rcar_cma_heap_warn_full(heap, size);
		return ERR_PTR(-ENOMEM);
	}

	buffer = kzalloc_obj(*buffer);
	if (!buffer)
		return ERR_PTR(-ENOMEM);

	buffer->page = cma_alloc(region->cma, count,
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

	ret = rcar_cma_heap_map_own(heap, buffer->page, size,
				    &buffer->dma_addr);
	if (ret)
		goto err_release_pages;

	buffer->heap = heap;
	buffer->size = size;
	atomic_long_add(size, &region->used);

	return buffer;

err_release_pages:
	cma_release(region->cma, buffer->page, count);
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
 * rcar_cma_heap_map_own() or dma_buf_export().
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
	exp_info.ops = heap->uncached ? &rcar_cma_buffer_uncached_ops :
					&rcar_cma_buffer_ops;
	exp_info.size = size;
	exp_info.flags = fd_flags;
	exp_info.huge_mmap = IS_ENABLED(CONFIG_ARCH_SUPPORTS_PMD_PFNMAP) &&
			     size >= PMD_SIZE &&
			     IS_ALIGNED(page_to_phys(buffer->page), PMD_SIZE);
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

/*
 * The second heap of a region. Without it the first one serves, which is there
 * and cannot be removed.
 */
static void __init rcar_cma_heap_register_uncached(struct rcar_cma_region *region,
						   size_t name_size)
{
	int ret;

	snprintf(region->uncached_name, name_size, "%s" UNCACHED_SUFFIX,
		 region->cached.name);
	ret = rcar_cma_heap_add(&region->uncached, region->uncached_name);
	if (ret)
		dev_err(region->dev, "no heap %s (%pe)\n",
			region->uncached_name, ERR_PTR(ret));
}

static int __init rcar_cma_heap_probe(struct platform_device *pdev)
{
	struct device *dev = &pdev->dev;
	struct rcar_cma_region *region;
	struct reserved_mem *rmem;
	size_t name_size;
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

	/*
	 * Maintenance for a device that snoops is none. Other masters would not
	 * see what the CPU wrote.
	 */
	if (dev_is_dma_coherent(dev)) {
		dev_err(dev, "no heap: write dma-noncoherent in the node, or do the masters of this memory snoop?\n");
		return -ENODEV;
	}

	/* Cache maintenance would be on a copy of the buffer. */
	if (!rcar_cma_range_reachable(dev, rmem->base, rmem->size)) {
		dev_err(dev, "no heap: direct memory access is bounced, is swiotlb=force on the command line, or is this a Xen domain?\n");
		return -ENODEV;
	}

	/* The full name is the longest one that the first heap may get. */
	name_size = strlen(kbasename(dev->of_node->full_name)) +
		    sizeof(UNCACHED_SUFFIX);
	region = kzalloc_flex(*region, uncached_name, name_size);
	if (!region)
		return -ENOMEM;

	region->dev = dev;
	region->cma = rmem->priv;
	region->base = rmem->base;
	region->size = rmem->size;
	region->cached.region = region;
	region->uncached.region = region;
	region->uncached.uncached = true;

	/* Nothing can be undone once this has succeeded. */
	ret = rcar_cma_heap_register(&region->cached, dev);
	if (ret) {
		dev_err_probe(dev, ret, "no heap %s\n", dev->of_node->name);
		goto err_free_region;
	}

	/* Heaps use the strings of the node. */
	of_node_get(dev->of_node);
	dev_info(dev, "heap %s: %zu MiB\n", region->cached.name,
		 region->size / SZ_1M);

	if (IS_ENABLED(CONFIG_ARM64))
		rcar_cma_heap_register_uncached(region, name_size);

	return 0;

err_free_region:
	kfree(region);

	return ret;
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

/**
 * rcar_cma_rmem_fault - what is wrong with a region
 * @base:	physical address
 * @size:	size in bytes
 *
 * Context: early boot, while memblock is there.
 *
 * Return: what to write in the device tree, or NULL if the region is usable.
 */
VISIBLE_IF_KUNIT const char * __init rcar_cma_rmem_fault(phys_addr_t base,
							 phys_addr_t size)
{
	if (!IS_ALIGNED(base | size, CMA_MIN_ALIGNMENT_BYTES))
		return "write base and size as multiples of the alignment";

	/*
	 * Not every importer could be refused later: the DU attaches with 40
	 * bits and lets the VSP, which has 32, map the pages once more.
	 */
	if (upper_32_bits(base + size - 1))
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

/*
 * Nothing changes the mappings back, so they are changed for usable regions alone.
 * Should there be no CMA area for one, its memory serves the kernel as it is then.
 */
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
