// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the R-Car media memory heap
 *
 * They allocate from the default CMA area, of which they need TEST_AREA_SIZE,
 * and are skipped where it is smaller, or too large to be filled.
 * No heap is registered, since none could be unregistered.
 */

#include <linux/bits.h>
#include <linux/cma.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/dma-buf.h>
#include <linux/dma-direct.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-fence.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/iosys-map.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/pgtable.h>
#include <linux/platform_device.h>
#include <linux/scatterlist.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/swiotlb.h>
#include <linux/tracepoint.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>
#include <kunit/platform_device.h>
#include <kunit/static_stub.h>
#include <kunit/test.h>

#include <trace/events/dma.h>

#include "../rcar_cma_heap.h"

#define TEST_AREA_SIZE	SZ_32M
#define TEST_CHUNK	SZ_1M
#define TEST_CHUNKS_MAX	512
#define VMA_TEST_FLAGS	(VM_PFNMAP | VM_IO | VM_DONTEXPAND | VM_DONTDUMP)

/**
 * struct rcar_cma_heap_test - what each test gets
 * @heap:	a heap of cached buffers of @region, not registered
 * @uncached:	one of uncached buffers
 * @chunks:	how many pieces of TEST_CHUNK the area held before the test
 * @pages:	room to hold that many pieces
 * @bufs:	room to hold that many buffers
 * @region:	the default CMA area
 */
struct rcar_cma_heap_test {
	struct rcar_cma_heap heap;
	struct rcar_cma_heap uncached;
	unsigned int chunks;
	struct page *pages[TEST_CHUNKS_MAX];
	struct dma_buf *bufs[TEST_CHUNKS_MAX];
	struct rcar_cma_region region;
};

/* How many pieces of TEST_CHUNK the area has: one leaked page makes it fewer. */
static unsigned int test_count_chunks(struct rcar_cma_heap_test *t)
{
	const unsigned long count = TEST_CHUNK >> PAGE_SHIFT;
	unsigned int i, n;

	for (n = 0; n < TEST_CHUNKS_MAX; n++) {
		t->pages[n] = cma_alloc(t->region.cma, count,
					rcar_cma_heap_align_order(TEST_CHUNK),
					true);
		if (!t->pages[n])
			break;
	}
	for (i = 0; i < n; i++)
		cma_release(t->region.cma, t->pages[i], count);

	return n;
}

/* Puts of a kernel thread, which KUnit is, release the memory later. */
static void test_put(void *dmabuf)
{
	dma_buf_put(dmabuf);
	flush_delayed_fput();
}

/* Every test leaves the area and the account of it as it found them. */
static void test_check_area(void *test_)
{
	struct kunit *test = test_;
	struct rcar_cma_heap_test *t = test->priv;

	KUNIT_EXPECT_EQ(test, atomic_long_read(&t->region.used), 0);
	KUNIT_EXPECT_EQ(test, test_count_chunks(t), t->chunks);
}

/* Allocate a buffer that the end of the test frees. */
static struct dma_buf *test_export_from(struct kunit *test,
					struct rcar_cma_heap *heap, size_t size)
{
	struct dma_buf *dmabuf = rcar_cma_heap_export(heap, size, O_RDWR);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dmabuf);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, test_put, dmabuf));

	return dmabuf;
}

static struct dma_buf *test_export(struct kunit *test, size_t size)
{
	struct rcar_cma_heap_test *t = test->priv;

	return test_export_from(test, &t->heap, size);
}

/* A device with a DMA mask of 32 bits, as the platform bus gives. */
static struct device *test_importer(struct kunit *test, const char *name)
{
	struct platform_device *pdev;

	pdev = kunit_platform_device_alloc(test, name, PLATFORM_DEVID_NONE);
	KUNIT_ASSERT_NOT_NULL(test, pdev);
	KUNIT_ASSERT_EQ(test, 0, kunit_platform_device_add(test, pdev));
	/* One segment may be as long as the buffer. */
	dma_set_max_seg_size(&pdev->dev, UINT_MAX);

	return &pdev->dev;
}

/* Where the area begins: the first of its pages that are free, before a test. */
static phys_addr_t test_area_base(struct rcar_cma_heap_test *t)
{
	struct page *page = cma_alloc(t->region.cma, 1, 0, true);
	phys_addr_t base = page_to_phys(page);

	cma_release(t->region.cma, page, 1);

	return base;
}

static int rcar_cma_heap_test_init(struct kunit *test)
{
	struct rcar_cma_heap_test *t;

	t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, t);
	test->priv = t;

	t->region.cma = dev_get_cma_area(NULL);
	if (!t->region.cma)
		kunit_skip(test, "no default CMA area: set CONFIG_CMA_SIZE_MBYTES");

	t->chunks = test_count_chunks(t);
	if (t->chunks < TEST_AREA_SIZE / TEST_CHUNK ||
	    t->chunks == TEST_CHUNKS_MAX)
		kunit_skip(test, "%u MiB of the area are free: set CONFIG_CMA_SIZE_MBYTES=64",
			   t->chunks);

	t->region.base = test_area_base(t);
	t->region.dev = test_importer(test, "region");
	if (dev_is_dma_coherent(t->region.dev))
		kunit_skip(test, "all devices snoop CPU caches here");

	t->heap.region = &t->region;
	t->heap.name = "kunit";
	t->uncached.region = &t->region;
	t->uncached.name = "kunit-uncached";
	t->uncached.uncached = true;
	t->region.size = t->chunks * TEST_CHUNK;

	/* An action and not .exit, which comes before the actions of the test. */
	return kunit_add_action(test, test_check_area, test);
}

static struct page *test_first_page(struct kunit *test, struct dma_buf *dmabuf)
{
	struct iosys_map map;
	struct page *page;

	KUNIT_ASSERT_EQ(test, 0, dma_buf_vmap_unlocked(dmabuf, &map));
	page = is_vmalloc_addr(map.vaddr) ? vmalloc_to_page(map.vaddr) :
					    virt_to_page(map.vaddr);
	dma_buf_vunmap_unlocked(dmabuf, &map);

	return page;
}

struct align_case {
	const char *what;
	size_t size;
	size_t align;
};

static const struct align_case align_cases[] = {
	{ "one page", SZ_4K, SZ_16K },
	{ "720p, YUYV", 1843200, SZ_16K },
	{ "just over 1/8 lost", 455 * SZ_4K, SZ_16K },
	{ "just under 1/8 lost", 456 * SZ_4K, SZ_2M },
	{ "2 MiB", SZ_2M, SZ_2M },
	{ "2 MiB and a page", SZ_2M + SZ_4K, SZ_16K },
	{ "1080p, NV12", 3133440, SZ_16K },
	{ "2160p, NV12", 12443648, SZ_2M },
	{ "2160p, YUYV", 16588800, SZ_2M },
	{ "24 MiB", 12 * SZ_2M, SZ_2M },
};

KUNIT_ARRAY_PARAM_DESC(align, align_cases, what);

static void rcar_cma_heap_align_order_test(struct kunit *test)
{
	const struct align_case *c = test->param_value;

	KUNIT_EXPECT_EQ(test, rcar_cma_heap_align_order(c->size),
			get_order(c->align));
}

/* An odd page before it, or any first buffer would look aligned. */
static void rcar_cma_heap_placement_test(struct kunit *test)
{
	const struct align_case *c = test->param_value;
	struct dma_buf *dmabuf;

	test_export(test, PAGE_SIZE);
	dmabuf = test_export(test, PAGE_ALIGN(c->size));
	KUNIT_EXPECT_TRUE(test,
			  IS_ALIGNED(page_to_phys(test_first_page(test, dmabuf)),
				     max(c->align, PAGE_SIZE)));
}

static void rcar_cma_heap_zeroed_test(struct kunit *test)
{
	struct rcar_cma_heap_test *t = test->priv;
	/* More than a batch of zeroing, and a part of one. */
	const size_t size = 3 * SZ_2M + PAGE_SIZE;
	struct page *page[2];
	struct iosys_map map;
	struct dma_buf *dmabuf;

	for (int i = 0; i < 2; i++) {
		dmabuf = rcar_cma_heap_export(&t->heap, size, O_RDWR);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dmabuf);
		page[i] = test_first_page(test, dmabuf);

		KUNIT_ASSERT_EQ(test, 0, dma_buf_vmap_unlocked(dmabuf, &map));
		KUNIT_EXPECT_NULL(test, memchr_inv(map.vaddr, 0, size));
		memset(map.vaddr, 0xa5, size);
		dma_buf_vunmap_unlocked(dmabuf, &map);
		test_put(dmabuf);
	}

	/* Otherwise the second buffer proves nothing. */
	KUNIT_EXPECT_PTR_EQ(test, page[0], page[1]);
}

static void rcar_cma_heap_too_large_test(struct kunit *test)
{
	struct rcar_cma_heap_test *t = test->priv;
	const size_t sizes[] = { t->region.size + PAGE_SIZE, SZ_1G,
				 ~0UL & PAGE_MASK };

	for (int i = 0; i < ARRAY_SIZE(sizes); i++)
		KUNIT_EXPECT_EQ(test, -ENOMEM,
				PTR_ERR(rcar_cma_heap_export(&t->heap, sizes[i],
							     O_RDWR)));
}

/* Fill the area, see the errno, empty it, and fill it as far again. */
static void rcar_cma_heap_exhaustion_test(struct kunit *test)
{
	struct rcar_cma_heap_test *t = test->priv;
	unsigned int i, n[2];

	for (int round = 0; round < 2; round++) {
		for (i = 0; i < ARRAY_SIZE(t->bufs) - 1; i++) {
			t->bufs[i] = rcar_cma_heap_export(&t->heap, TEST_CHUNK,
							  O_RDWR);
			if (IS_ERR(t->bufs[i]))
				break;
		}
		n[round] = i;
		KUNIT_EXPECT_EQ(test, -ENOMEM, PTR_ERR(t->bufs[i]));
		KUNIT_EXPECT_EQ(test, atomic_long_read(&t->region.used),
				(long)i * TEST_CHUNK);
		while (i--)
			test_put(t->bufs[i]);
	}

	KUNIT_EXPECT_EQ(test, n[0], t->chunks);
	KUNIT_EXPECT_EQ(test, n[1], t->chunks);
}

static void rcar_cma_heap_lifetime_test(struct kunit *test)
{
	struct rcar_cma_heap_test *t = test->priv;
	struct dma_buf *dmabuf;

	dmabuf = rcar_cma_heap_export(&t->heap, SZ_64K, O_RDWR);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dmabuf);
	KUNIT_EXPECT_STREQ(test, dmabuf->exp_name, "kunit");
	KUNIT_EXPECT_EQ(test, dmabuf->size, SZ_64K);

	/* The importer's reference keeps the memory after the first put. */
	get_dma_buf(dmabuf);
	test_put(dmabuf);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&t->region.used), SZ_64K);
	test_put(dmabuf);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&t->region.used), 0);
}

static void rcar_cma_heap_vmap_test(struct kunit *test)
{
	struct dma_buf *dmabuf = test_export(test, SZ_64K);
	struct iosys_map map, again;

	KUNIT_ASSERT_EQ(test, 0, dma_buf_vmap_unlocked(dmabuf, &map));
	KUNIT_ASSERT_EQ(test, 0, dma_buf_vmap_unlocked(dmabuf, &again));
	KUNIT_EXPECT_PTR_EQ(test, map.vaddr, again.vaddr);
	/* The linear map serves where it holds the memory. */
	KUNIT_EXPECT_EQ(test, is_vmalloc_addr(map.vaddr),
			!!PageHighMem(test_first_page(test, dmabuf)));
	/* Without highmem nobody would miss it. */
	KUNIT_EXPECT_NOT_NULL(test, dmabuf->ops->vunmap);
	dma_buf_vunmap_unlocked(dmabuf, &again);

	/* Still mapped. */
	memset(map.vaddr, 0x5a, SZ_64K);
	dma_buf_vunmap_unlocked(dmabuf, &map);
}

/* User mappings have the protection of ordinary memory: cached. */
static void rcar_cma_heap_mmap_test(struct kunit *test)
{
	struct dma_buf *dmabuf = test_export(test, SZ_64K);
	struct vm_area_struct *vma;
	unsigned long addr;

	KUNIT_EXPECT_EQ(test, -EINVAL,
			(long)kunit_vm_mmap(test, dmabuf->file, 0, SZ_64K, PROT_READ,
					    MAP_PRIVATE, 0));

	addr = kunit_vm_mmap(test, dmabuf->file, 0, SZ_64K,
			     PROT_READ | PROT_WRITE, MAP_SHARED, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	KUNIT_ASSERT_NE(test, addr, 0);

	mmap_read_lock(current->mm);
	vma = vma_lookup(current->mm, addr);
	KUNIT_EXPECT_NOT_NULL(test, vma);
	if (vma) {
		KUNIT_EXPECT_EQ(test, pgprot_val(vma->vm_page_prot),
				pgprot_val(vm_get_page_prot(vma->vm_flags)));
		/* Neither pinned by get_user_pages(), nor grown, nor dumped. */
		KUNIT_EXPECT_EQ(test, vma->vm_flags & VMA_TEST_FLAGS,
				VMA_TEST_FLAGS);
	}
	mmap_read_unlock(current->mm);

	/* The area is checked before the mm of the test is sure to be gone. */
	vm_munmap(addr, SZ_64K);
}

static void rcar_cma_heap_scatterlist_test(struct kunit *test)
{
	struct dma_buf *dmabuf = test_export(test, SZ_4M);
	struct page *page = test_first_page(test, dmabuf);
	struct device *dev = test_importer(test, "importer");
	struct dma_buf_attachment *attachment;
	struct sg_table *table;

	attachment = dma_buf_attach(dmabuf, dev);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attachment);
	table = dma_buf_map_attachment_unlocked(attachment, DMA_BIDIRECTIONAL);
	if (IS_ERR(table)) {
		KUNIT_FAIL(test, "map: %ld\n", PTR_ERR(table));
		goto detach;
	}

	KUNIT_EXPECT_EQ(test, table->orig_nents, 1);
	KUNIT_EXPECT_EQ(test, table->nents, 1);
	KUNIT_EXPECT_EQ(test, sg_dma_len(table->sgl), SZ_4M);
	/* Importers such as rcar-du read the pages. Debugging hides them. */
	if (!IS_ENABLED(CONFIG_DMABUF_DEBUG)) {
		KUNIT_EXPECT_PTR_EQ(test, sg_page(table->sgl), page);
		KUNIT_EXPECT_EQ(test, table->sgl->length, SZ_4M);
	}
	KUNIT_EXPECT_EQ(test, sg_dma_address(table->sgl), page_to_phys(page));

	dma_buf_unmap_attachment_unlocked(attachment, table, DMA_BIDIRECTIONAL);
detach:
	dma_buf_detach(dmabuf, attachment);
}

/* Two importers with CPU access between, undone in the order they came in. */
static void rcar_cma_heap_importers_test(struct kunit *test)
{
	struct dma_buf *dmabuf = test_export(test, SZ_64K);
	struct dma_buf_attachment *attachment[2] = { };
	struct sg_table *table[2] = { };
	static const char * const names[] = { "importer-a", "importer-b" };

	for (int i = 0; i < 2; i++) {
		attachment[i] = dma_buf_attach(dmabuf,
					       test_importer(test, names[i]));
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attachment[i]);
		table[i] = dma_buf_map_attachment_unlocked(attachment[i],
							   DMA_BIDIRECTIONAL);
		KUNIT_EXPECT_NOT_ERR_OR_NULL(test, table[i]);
		KUNIT_EXPECT_EQ(test, 0,
				dma_buf_begin_cpu_access(dmabuf, DMA_BIDIRECTIONAL));
		KUNIT_EXPECT_EQ(test, 0,
				dma_buf_end_cpu_access(dmabuf, DMA_BIDIRECTIONAL));
	}

	/* A table of its own for each: their DMA addresses may differ. */
	KUNIT_EXPECT_PTR_NE(test, table[0], table[1]);

	for (int i = 0; i < 2; i++) {
		if (!IS_ERR_OR_NULL(table[i]))
			dma_buf_unmap_attachment_unlocked(attachment[i], table[i],
							  DMA_BIDIRECTIONAL);
		dma_buf_detach(dmabuf, attachment[i]);
		KUNIT_EXPECT_EQ(test, 0,
				dma_buf_begin_cpu_access(dmabuf, DMA_BIDIRECTIONAL));
		KUNIT_EXPECT_EQ(test, 0,
				dma_buf_end_cpu_access(dmabuf, DMA_BIDIRECTIONAL));
	}
}

/**
 * struct dma_watch - what the DMA API was asked to do with a buffer
 * @phys:	address of the buffer, or 0 for any
 * @size:	its size in bytes
 * @maps:	times it was mapped with cache maintenance
 * @unmaps:	times it was unmapped with cache maintenance
 * @skips:	times it was mapped or unmapped without
 * @for_cpu:	operations on the caches before an access of the CPU
 * @for_device:	operations on the caches after one
 * @others:	operations on a part of the buffer alone
 * @unlocked:	operations on the caches without @resv
 * @dirtied:	times the buffer did not hold zeroes when it was mapped
 * @resv:	dma_resv of the buffer, or NULL
 * @dev:	device of the last operation
 * @dir:	direction of the last operation
 */
struct dma_watch {
	phys_addr_t phys;
	size_t size;
	unsigned int maps;
	unsigned int unmaps;
	unsigned int skips;
	unsigned int for_cpu;
	unsigned int for_device;
	unsigned int others;
	unsigned int unlocked;
	unsigned int dirtied;
	struct dma_resv *resv;
	struct device *dev;
	enum dma_data_direction dir;
};

static void watch_count(struct dma_watch *w, unsigned int *count,
			struct device *dev, phys_addr_t phys, size_t size,
			enum dma_data_direction dir)
{
	if (phys - w->phys >= w->size)
		return;

	if (phys != w->phys || size != w->size)
		count = &w->others;
	(*count)++;
	if (count != &w->skips && w->resv && !dma_resv_is_locked(w->resv))
		w->unlocked++;
	w->dev = dev;
	w->dir = dir;
}

/* Devices of no bus see memory where the CPU does. */
static phys_addr_t watch_phys(dma_addr_t addr)
{
	return addr;
}

static void watch_map_sg(void *data, struct device *dev, struct scatterlist *sgl,
			 int nents, int ents, enum dma_data_direction dir,
			 unsigned long attrs)
{
	struct dma_watch *w = data;

	watch_count(w, attrs & DMA_ATTR_SKIP_CPU_SYNC ? &w->skips : &w->maps,
		    dev, sg_phys(sgl), sgl->length, dir);
}

static void watch_unmap_sg(void *data, struct device *dev,
			   struct scatterlist *sgl, int nents,
			   enum dma_data_direction dir, unsigned long attrs)
{
	struct dma_watch *w = data;

	watch_count(w, attrs & DMA_ATTR_SKIP_CPU_SYNC ? &w->skips : &w->unmaps,
		    dev, sg_phys(sgl), sgl->length, dir);
}

static void watch_map_phys(void *data, struct device *dev, phys_addr_t phys,
			   dma_addr_t dma_addr, size_t size,
			   enum dma_data_direction dir, unsigned long attrs)
{
	struct dma_watch *w = data;

	watch_count(w, attrs & DMA_ATTR_SKIP_CPU_SYNC ? &w->skips : &w->maps,
		    dev, phys, size, dir);
	if (phys == w->phys && size == w->size &&
	    !PageHighMem(phys_to_page(phys)) &&
	    memchr_inv(phys_to_virt(phys), 0, size))
		w->dirtied++;
}

static void watch_unmap_phys(void *data, struct device *dev, dma_addr_t addr,
			     size_t size, enum dma_data_direction dir,
			     unsigned long attrs)
{
	struct dma_watch *w = data;

	watch_count(w, attrs & DMA_ATTR_SKIP_CPU_SYNC ? &w->skips : &w->unmaps,
		    dev, watch_phys(addr), size, dir);
}

static void watch_for_cpu(void *data, struct device *dev, dma_addr_t addr,
			  size_t size, enum dma_data_direction dir)
{
	struct dma_watch *w = data;

	watch_count(w, &w->for_cpu, dev, watch_phys(addr), size, dir);
}

static void watch_for_device(void *data, struct device *dev, dma_addr_t addr,
			     size_t size, enum dma_data_direction dir)
{
	struct dma_watch *w = data;

	watch_count(w, &w->for_device, dev, watch_phys(addr), size, dir);
}

static void watch_sg_for_cpu(void *data, struct device *dev,
			     struct scatterlist *sgl, int nents,
			     enum dma_data_direction dir)
{
	struct dma_watch *w = data;

	watch_count(w, &w->for_cpu, dev, sg_phys(sgl), sgl->length, dir);
}

static void watch_sg_for_device(void *data, struct device *dev,
				struct scatterlist *sgl, int nents,
				enum dma_data_direction dir)
{
	struct dma_watch *w = data;

	watch_count(w, &w->for_device, dev, sg_phys(sgl), sgl->length, dir);
}

/**
 * struct watch_probe - one event of the DMA API
 * @name:	name of its tracepoint
 * @func:	what is called for it
 * @tp:		the tracepoint, once found
 */
struct watch_probe {
	const char *name;
	void *func;
	struct tracepoint *tp;
};

/* Tests run one at a time. The tracepoints are not exported, hence by name. */
static struct watch_probe watch_probes[] = {
	{ "dma_map_sg", watch_map_sg },
	{ "dma_unmap_sg", watch_unmap_sg },
	{ "dma_map_phys", watch_map_phys },
	{ "dma_unmap_phys", watch_unmap_phys },
	{ "dma_sync_single_for_cpu", watch_for_cpu },
	{ "dma_sync_single_for_device", watch_for_device },
	{ "dma_sync_sg_for_cpu", watch_sg_for_cpu },
	{ "dma_sync_sg_for_device", watch_sg_for_device },
};

static void watch_find(struct tracepoint *tp, void *unused)
{
	for (int i = 0; i < ARRAY_SIZE(watch_probes); i++)
		if (!strcmp(tp->name, watch_probes[i].name))
			watch_probes[i].tp = tp;
}

static void watch_stop(void *w)
{
	for (int i = 0; i < ARRAY_SIZE(watch_probes); i++)
		tracepoint_probe_unregister(watch_probes[i].tp,
					    watch_probes[i].func, w);
	tracepoint_synchronize_unregister();
}

/* Watch until the end of the test. The compiler compares the prototypes. */
static struct dma_watch *watch_start(struct kunit *test)
{
	struct dma_watch *w;

	if (!IS_ENABLED(CONFIG_TRACEPOINTS))
		kunit_skip(test, "no tracepoints: set CONFIG_ENABLE_DEFAULT_TRACERS");

	w = kunit_kzalloc(test, sizeof(*w), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, w);
	w->size = SIZE_MAX;

	check_trace_callback_type_dma_map_sg(watch_map_sg);
	check_trace_callback_type_dma_unmap_sg(watch_unmap_sg);
	check_trace_callback_type_dma_map_phys(watch_map_phys);
	check_trace_callback_type_dma_unmap_phys(watch_unmap_phys);
	check_trace_callback_type_dma_sync_single_for_cpu(watch_for_cpu);
	check_trace_callback_type_dma_sync_single_for_device(watch_for_device);
	check_trace_callback_type_dma_sync_sg_for_cpu(watch_sg_for_cpu);
	check_trace_callback_type_dma_sync_sg_for_device(watch_sg_for_device);

	for_each_kernel_tracepoint(watch_find, NULL);
	for (int i = 0; i < ARRAY_SIZE(watch_probes); i++)
		if (!watch_probes[i].tp)
			kunit_skip(test, "no tracepoint %s", watch_probes[i].name);

	for (int i = 0; i < ARRAY_SIZE(watch_probes); i++)
		KUNIT_ASSERT_EQ(test, 0,
				tracepoint_probe_register(watch_probes[i].tp,
							  watch_probes[i].func, w));
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, watch_stop, w));

	return w;
}

/* From now on, count what is done with this buffer. */
static void watch_buffer(struct kunit *test, struct dma_watch *w,
			 struct dma_buf *dmabuf)
{
	*w = (struct dma_watch) {
		.phys = page_to_phys(test_first_page(test, dmabuf)),
		.size = dmabuf->size,
		.resv = dmabuf->resv,
	};
}

/* Operations on the caches of any kind. */
static unsigned int watch_sum(const struct dma_watch *w)
{
	return w->maps + w->unmaps + w->for_cpu + w->for_device + w->others;
}

/* What else holds for the last operation of a CPU access, and for all so far. */
static void test_last_access(struct kunit *test, struct dma_watch *w,
			     enum dma_data_direction dir)
{
	struct rcar_cma_heap_test *t = test->priv;

	KUNIT_EXPECT_PTR_EQ(test, w->dev, t->region.dev);
	KUNIT_EXPECT_FALSE(test, dev_is_dma_coherent(w->dev));
	KUNIT_EXPECT_EQ(test, w->dir, dir);
	KUNIT_EXPECT_EQ(test, w->unlocked, 0);
}

/* One access of the CPU: how many operations were done for it, before and after. */
static void test_access(struct kunit *test, struct dma_watch *w,
			struct dma_buf *dmabuf, enum dma_data_direction dir,
			unsigned int operations)
{
	struct dma_watch before = *w;

	w->dev = NULL;
	KUNIT_EXPECT_EQ(test, 0, dma_buf_begin_cpu_access(dmabuf, dir));
	KUNIT_EXPECT_EQ(test, w->for_cpu, before.for_cpu + operations);
	KUNIT_EXPECT_EQ(test, 0, dma_buf_end_cpu_access(dmabuf, dir));
	KUNIT_EXPECT_EQ(test, w->for_device, before.for_device + operations);
	KUNIT_EXPECT_EQ(test, watch_sum(w), watch_sum(&before) + 2 * operations);
	if (operations)
		test_last_access(test, w, dir);
}

#define TEST_IMPORTERS_MAX	8

/* An importer of its own name; the end of the test removes it. */
static struct device *test_numbered_importer(struct kunit *test, unsigned int i)
{
	char name[24];

	snprintf(name, sizeof(name), "importer-%u", i);

	return test_importer(test, name);
}

/* What the CPU wrote before anybody came is cleaned by the map, once. */
static void rcar_cma_heap_map_maintenance_test(struct kunit *test)
{
	struct dma_watch *w = watch_start(test);
	struct dma_buf *dmabuf = test_export(test, SZ_64K);
	struct device *dev = test_numbered_importer(test, 0);
	struct dma_buf_attachment *attachment;
	struct sg_table *table;
	struct iosys_map map;

	watch_buffer(test, w, dmabuf);
	KUNIT_ASSERT_EQ(test, 0, dma_buf_vmap_unlocked(dmabuf, &map));
	memset(map.vaddr, 0x5a, SZ_64K);
	dma_buf_vunmap_unlocked(dmabuf, &map);

	attachment = dma_buf_attach(dmabuf, dev);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attachment);
	KUNIT_EXPECT_EQ(test, watch_sum(w), 0);

	table = dma_buf_map_attachment_unlocked(attachment, DMA_TO_DEVICE);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, table);
	KUNIT_EXPECT_EQ(test, w->maps, 1);
	KUNIT_EXPECT_EQ(test, watch_sum(w), 1);
	KUNIT_EXPECT_PTR_EQ(test, w->dev, dev);
	KUNIT_EXPECT_EQ(test, w->dir, DMA_TO_DEVICE);

	dma_buf_unmap_attachment_unlocked(attachment, table, DMA_TO_DEVICE);
	KUNIT_EXPECT_EQ(test, w->unmaps, 1);
	KUNIT_EXPECT_EQ(test, watch_sum(w), 2);
	KUNIT_EXPECT_EQ(test, w->skips, 0);
	dma_buf_detach(dmabuf, attachment);
}

struct mix_case {
	const char *what;
	unsigned int importers;
	unsigned int snooping; /* as many of them, the first ones */
	unsigned int operations;
};

static const struct mix_case mix_cases[] = {
	{ "nobody", 0, 0, 0 },
	{ "one", 1, 0, 1 },
	{ "two", 2, 0, 1 },
	{ "eight", 8, 0, 1 },
	{ "one that snoops", 1, 1, 0 },
	{ "two that snoop", 2, 2, 0 },
	{ "one of two snoops", 2, 1, 1 },
	{ "seven of eight snoop", 8, 7, 1 },
};

KUNIT_ARRAY_PARAM_DESC(mix, mix_cases, what);

static void rcar_cma_heap_access_test(struct kunit *test)
{
	static const enum dma_data_direction dirs[] = {
		DMA_BIDIRECTIONAL, DMA_TO_DEVICE, DMA_FROM_DEVICE,
	};
	const struct mix_case *c = test->param_value;
	struct dma_buf_attachment *attachment[TEST_IMPORTERS_MAX];
	struct sg_table *table[TEST_IMPORTERS_MAX];
	struct dma_watch *w = watch_start(test);
	struct dma_buf *dmabuf = test_export(test, SZ_64K);

	for (unsigned int i = 0; i < c->importers; i++) {
		struct device *dev = test_numbered_importer(test, i);

		if (i < c->snooping)
			dev_set_dma_coherent(dev);
		attachment[i] = dma_buf_attach(dmabuf, dev);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attachment[i]);
	}

	/* Attached is not mapped. */
	watch_buffer(test, w, dmabuf);
	test_access(test, w, dmabuf, DMA_BIDIRECTIONAL, 0);

	for (unsigned int i = 0; i < c->importers; i++) {
		/* Any direction of the importer goes with any of the CPU. */
		table[i] = dma_buf_map_attachment_unlocked(attachment[i],
							   dirs[i % ARRAY_SIZE(dirs)]);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, table[i]);
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(dirs); i++)
		test_access(test, w, dmabuf, dirs[i], c->operations);

	for (unsigned int i = 0; i < c->importers; i++)
		dma_buf_unmap_attachment_unlocked(attachment[i], table[i],
						  dirs[i % ARRAY_SIZE(dirs)]);
	test_access(test, w, dmabuf, DMA_BIDIRECTIONAL, 0);

	for (unsigned int i = 0; i < c->importers; i++)
		dma_buf_detach(dmabuf, attachment[i]);
}

/*
 * Who takes steps in the test of all orders: importers, which attach, map, unmap
 * and detach, and the CPU, whose access begins and ends.
 */
#define TEST_IMPORTER_STEPS	4
#define TEST_CPU_STEPS		2

/**
 * struct order_test - where an order of steps has got to
 * @dmabuf:	the buffer
 * @watch:	what is done with it
 * @importers:	how many of them there are
 * @dev:	devices of the importers
 * @attachment:	of each importer, once it has attached
 * @table:	of each importer, while it has the buffer mapped
 * @step:	how many steps each has taken, with the CPU after the importers
 * @orders:	how many orders have been gone through
 */
struct order_test {
	struct dma_buf *dmabuf;
	struct dma_watch *watch;
	unsigned int importers;
	struct device *dev[2];
	struct dma_buf_attachment *attachment[2];
	struct sg_table *table[2];
	unsigned int step[3];
	unsigned int orders;
};

static void order_importer_step(struct kunit *test, struct order_test *o,
				unsigned int who)
{
	switch (o->step[who]) {
	case 0:
		o->attachment[who] = dma_buf_attach(o->dmabuf, o->dev[who]);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, o->attachment[who]);
		break;
	case 1:
		o->table[who] = dma_buf_map_attachment_unlocked(o->attachment[who],
								DMA_FROM_DEVICE);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, o->table[who]);
		break;
	case 2:
		dma_buf_unmap_attachment_unlocked(o->attachment[who], o->table[who],
						  DMA_FROM_DEVICE);
		break;
	case 3:
		dma_buf_detach(o->dmabuf, o->attachment[who]);
		break;
	}
}

/* Whoever has taken two steps is between map and unmap. */
static bool order_needs_operation(struct order_test *o)
{
	for (unsigned int i = 0; i < o->importers; i++)
		if (o->step[i] == 2 && !dev_is_dma_coherent(o->dev[i]))
			return true;

	return false;
}

static void order_cpu_step(struct kunit *test, struct order_test *o)
{
	const enum dma_data_direction dir = DMA_BIDIRECTIONAL;
	struct dma_watch *w = o->watch;
	unsigned int before = watch_sum(w), operations;

	if (o->step[o->importers] == 0) {
		operations = w->for_cpu;
		KUNIT_EXPECT_EQ(test, 0, dma_buf_begin_cpu_access(o->dmabuf, dir));
		operations = w->for_cpu - operations;
	} else {
		operations = w->for_device;
		KUNIT_EXPECT_EQ(test, 0, dma_buf_end_cpu_access(o->dmabuf, dir));
		operations = w->for_device - operations;
	}
	KUNIT_EXPECT_EQ(test, operations, order_needs_operation(o));
	KUNIT_EXPECT_EQ(test, watch_sum(w), before + operations);
	if (operations)
		test_last_access(test, w, dir);
}

/* Go through the steps of an order: a digit for each, which says whose it is. */
static void order_run(struct kunit *test, struct order_test *o, const u8 *order,
		      unsigned int length)
{
	memset(o->step, 0, sizeof(o->step));
	for (unsigned int i = 0; i < length; i++) {
		if (order[i] == o->importers)
			order_cpu_step(test, o);
		else
			order_importer_step(test, o, order[i]);
		o->step[order[i]]++;
	}
	o->orders++;
}

/* All orders that begin as the one given does. */
static void order_run_all(struct kunit *test, struct order_test *o, u8 *order,
			  unsigned int length, const unsigned int *left)
{
	bool done = true;

	for (unsigned int who = 0; who <= o->importers; who++) {
		unsigned int then[3] = { left[0], left[1], left[2] };

		if (!left[who])
			continue;
		done = false;
		then[who]--;
		order[length] = who;
		order_run_all(test, o, order, length + 1, then);
	}
	if (done)
		order_run(test, o, order, length);
}

struct orders_case {
	const char *what;
	unsigned int importers;
	unsigned int snooping; /* as many of them, the first ones */
	unsigned int orders;
};

static const struct orders_case orders_cases[] = {
	{ "one importer", 1, 0, 15 },
	{ "one that snoops", 1, 1, 15 },
	{ "two importers", 2, 0, 3150 },
	{ "two, of which one snoops", 2, 1, 3150 },
};

KUNIT_ARRAY_PARAM_DESC(orders, orders_cases, what);

/* Importers and an access of the CPU in each order of their steps. */
static void rcar_cma_heap_orders_test(struct kunit *test)
{
	const struct orders_case *c = test->param_value;
	u8 order[2 * TEST_IMPORTER_STEPS + TEST_CPU_STEPS];
	struct order_test *o;
	unsigned int left[3] = { };

	o = kunit_kzalloc(test, sizeof(*o), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, o);
	o->watch = watch_start(test);
	o->dmabuf = test_export(test, SZ_64K);
	o->importers = c->importers;
	for (unsigned int i = 0; i < c->importers; i++) {
		o->dev[i] = test_numbered_importer(test, i);
		if (i < c->snooping)
			dev_set_dma_coherent(o->dev[i]);
		left[i] = TEST_IMPORTER_STEPS;
	}
	left[c->importers] = TEST_CPU_STEPS;

	watch_buffer(test, o->watch, o->dmabuf);
	order_run_all(test, o, order, 0, left);
	KUNIT_EXPECT_EQ(test, o->orders, c->orders);
	KUNIT_EXPECT_EQ(test, o->watch->unlocked, 0);
}

/* Where a buffer was that is full of other people's data, and is free again. */
static phys_addr_t test_dirty_buffer(struct kunit *test, size_t size)
{
	struct rcar_cma_heap_test *t = test->priv;
	struct dma_buf *dmabuf = rcar_cma_heap_export(&t->heap, size, O_RDWR);
	struct iosys_map map;
	phys_addr_t phys;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dmabuf);
	phys = page_to_phys(test_first_page(test, dmabuf));
	KUNIT_ASSERT_EQ(test, 0, dma_buf_vmap_unlocked(dmabuf, &map));
	memset(map.vaddr, 0xa5, size);
	dma_buf_vunmap_unlocked(dmabuf, &map);
	test_put(dmabuf);

	return phys;
}

/* Cleaned once, before anybody has it, and never touched again. */
static void rcar_cma_heap_uncached_maintenance_test(struct kunit *test)
{
	struct rcar_cma_heap_test *t = test->priv;
	struct dma_watch *w = watch_start(test);
	struct dma_buf_attachment *attachment;
	struct device *dev = test_numbered_importer(test, 0);
	struct dma_buf *dmabuf;
	struct sg_table *table;
	phys_addr_t phys;

	/* The first fit: the next buffer will be where this one is. */
	phys = test_dirty_buffer(test, SZ_64K);
	*w = (struct dma_watch) { .phys = phys, .size = SZ_64K };
	dmabuf = rcar_cma_heap_export(&t->uncached, SZ_64K, O_RDWR);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dmabuf);
	KUNIT_EXPECT_EQ(test, page_to_phys(test_first_page(test, dmabuf)), phys);
	/* What is written back is the zeroes, and no older contents. */
	KUNIT_EXPECT_EQ(test, w->dirtied, 0);
	KUNIT_EXPECT_EQ(test, w->maps, 1);
	KUNIT_EXPECT_EQ(test, watch_sum(w), 1);
	KUNIT_EXPECT_PTR_EQ(test, w->dev, t->region.dev);
	KUNIT_EXPECT_NE(test, w->dir, DMA_FROM_DEVICE);

	watch_buffer(test, w, dmabuf);
	attachment = dma_buf_attach(dmabuf, dev);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attachment);
	table = dma_buf_map_attachment_unlocked(attachment, DMA_BIDIRECTIONAL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, table);
	test_access(test, w, dmabuf, DMA_BIDIRECTIONAL, 0);
	dma_buf_unmap_attachment_unlocked(attachment, table, DMA_BIDIRECTIONAL);
	dma_buf_detach(dmabuf, attachment);

	/* The importer's map and unmap were seen, and skipped the caches. */
	KUNIT_EXPECT_EQ(test, w->skips, 2);
	test_put(dmabuf);
	KUNIT_EXPECT_EQ(test, watch_sum(w), 0);
}

#ifdef CONFIG_ARM64
static int pte_attribute(pte_t *pte, unsigned long addr, void *attribute)
{
	*(pteval_t *)attribute = pte_val(ptep_get(pte)) & PTE_ATTRINDX_MASK;

	return 0;
}

/* The memory type in the page table itself, for each page of a mapping. */
static void test_memory_type(struct kunit *test, struct mm_struct *mm,
			     unsigned long addr, size_t size, pteval_t type)
{
	for (unsigned long a = addr; a < addr + size; a += PAGE_SIZE) {
		pteval_t found = ~0;

		KUNIT_EXPECT_EQ(test, 0,
				apply_to_page_range(mm, a, PAGE_SIZE,
						    pte_attribute, &found));
		KUNIT_EXPECT_EQ(test, found, type);
	}
}

static void test_mmap_type(struct kunit *test, struct rcar_cma_heap *heap,
			   pteval_t type)
{
	struct dma_buf *dmabuf = test_export_from(test, heap, SZ_64K);
	unsigned long addr;

	addr = kunit_vm_mmap(test, dmabuf->file, 0, SZ_64K,
			     PROT_READ | PROT_WRITE, MAP_SHARED, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	KUNIT_ASSERT_NE(test, addr, 0);
	mmap_write_lock(current->mm);
	test_memory_type(test, current->mm, addr, SZ_64K, type);
	mmap_write_unlock(current->mm);
	vm_munmap(addr, SZ_64K);
}

/* Normal, and Normal non-cacheable: what the CPU sees of it all. */
static void rcar_cma_heap_memory_type_test(struct kunit *test)
{
	struct rcar_cma_heap_test *t = test->priv;

	test_mmap_type(test, &t->heap, PTE_ATTRINDX(MT_NORMAL));
	test_mmap_type(test, &t->uncached, PTE_ATTRINDX(MT_NORMAL_NC));

	/* The kernel's page table is not for modules. */
#ifndef MODULE
	struct dma_buf *dmabuf = test_export_from(test, &t->uncached, SZ_64K);
	struct iosys_map map;

	KUNIT_ASSERT_EQ(test, 0, dma_buf_vmap_unlocked(dmabuf, &map));
	test_memory_type(test, &init_mm, (unsigned long)map.vaddr, SZ_64K,
			 PTE_ATTRINDX(MT_NORMAL_NC));
	dma_buf_vunmap_unlocked(dmabuf, &map);
#endif
}
#endif /* CONFIG_ARM64 */

static void rcar_cma_heap_uncached_mmap_test(struct kunit *test)
{
	struct rcar_cma_heap_test *t = test->priv;
	struct dma_buf *dmabuf = test_export_from(test, &t->uncached, SZ_64K);
	struct vm_area_struct *vma;
	unsigned long addr;

	addr = kunit_vm_mmap(test, dmabuf->file, 0, SZ_64K,
			     PROT_READ | PROT_WRITE, MAP_SHARED, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	KUNIT_ASSERT_NE(test, addr, 0);

	mmap_read_lock(current->mm);
	vma = vma_lookup(current->mm, addr);
	KUNIT_EXPECT_NOT_NULL(test, vma);
	if (vma) {
		pgprot_t cached = vm_get_page_prot(vma->vm_flags);

		KUNIT_EXPECT_EQ(test, pgprot_val(vma->vm_page_prot),
				pgprot_val(pgprot_writecombine(cached)));
		KUNIT_EXPECT_NE(test, pgprot_val(vma->vm_page_prot),
				pgprot_val(cached));
	}
	mmap_read_unlock(current->mm);

	vm_munmap(addr, SZ_64K);
}

/* Not through the linear map, which is cached. */
static void rcar_cma_heap_uncached_vmap_test(struct kunit *test)
{
	struct rcar_cma_heap_test *t = test->priv;
	struct dma_buf *dmabuf = test_export_from(test, &t->uncached, SZ_64K);
	struct iosys_map map;
	u8 *vaddr;

	KUNIT_ASSERT_EQ(test, 0, dma_buf_vmap_unlocked(dmabuf, &map));
	vaddr = map.vaddr;
	KUNIT_EXPECT_TRUE(test, is_vmalloc_addr(vaddr));
	KUNIT_EXPECT_NULL(test, memchr_inv(vaddr, 0, SZ_64K));
	memset(vaddr, 0x5a, SZ_64K);
	for (size_t i = 0; i < SZ_64K; i += PAGE_SIZE)
		KUNIT_EXPECT_EQ(test, page_to_pfn(vmalloc_to_page(vaddr + i)),
				page_to_pfn(vmalloc_to_page(vaddr)) + (i >> PAGE_SHIFT));
	dma_buf_vunmap_unlocked(dmabuf, &map);
	KUNIT_EXPECT_NULL(test, vmalloc_to_page(vaddr));
}

/* Attach and map once; the errno of the map. */
static int test_map_once(struct kunit *test, struct dma_buf *dmabuf,
			 struct device *dev)
{
	struct dma_buf_attachment *attachment = dma_buf_attach(dmabuf, dev);
	struct sg_table *table;
	int ret = 0;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attachment);
	table = dma_buf_map_attachment_unlocked(attachment, DMA_BIDIRECTIONAL);
	if (IS_ERR(table))
		ret = PTR_ERR(table);
	else
		dma_buf_unmap_attachment_unlocked(attachment, table,
						  DMA_BIDIRECTIONAL);
	dma_buf_detach(dmabuf, attachment);

	return ret;
}

static void rcar_cma_heap_snooping_test(struct kunit *test)
{
	struct rcar_cma_heap_test *t = test->priv;
	struct dma_buf *cached = test_export(test, SZ_64K);
	struct dma_buf *uncached = test_export_from(test, &t->uncached, SZ_64K);
	struct device *dev = test_numbered_importer(test, 0);

	KUNIT_EXPECT_EQ(test, test_map_once(test, cached, dev), 0);
	KUNIT_EXPECT_EQ(test, test_map_once(test, uncached, dev), 0);
	dev_set_dma_coherent(dev);
	KUNIT_EXPECT_EQ(test, test_map_once(test, cached, dev), 0);
	KUNIT_EXPECT_EQ(test, test_map_once(test, uncached, dev), -EOPNOTSUPP);
}

/* By mask and by limit of the bus: the last byte of the region decides. */
static void rcar_cma_heap_masks_test(struct kunit *test)
{
	struct rcar_cma_heap_test *t = test->priv;
	const u64 end = t->region.base + t->region.size - 1;
	const struct {
		u64 mask, limit;
		int ret;
	} cases[] = {
		{ DMA_BIT_MASK(64), 0, 0 },
		{ DMA_BIT_MASK(32), 0, end > U32_MAX ? -EOPNOTSUPP : 0 },
		{ DMA_BIT_MASK(30), 0, end >> 30 ? -EOPNOTSUPP : 0 },
		{ DMA_BIT_MASK(fls64(end)), 0, 0 },
		{ DMA_BIT_MASK(fls64(end) - 1), 0, -EOPNOTSUPP },
		{ DMA_BIT_MASK(64), end, 0 },
		{ DMA_BIT_MASK(64), end - 1, -EOPNOTSUPP },
		{ DMA_BIT_MASK(64), t->region.base, -EOPNOTSUPP },
	};
	struct rcar_cma_heap *heaps[] = { &t->heap, &t->uncached };
	struct device *dev = test_numbered_importer(test, 0);

	for (int i = 0; i < ARRAY_SIZE(heaps); i++) {
		struct dma_buf *dmabuf = test_export_from(test, heaps[i], SZ_64K);

		for (int j = 0; j < ARRAY_SIZE(cases); j++) {
			*dev->dma_mask = cases[j].mask;
			dev->bus_dma_limit = cases[j].limit;
			KUNIT_EXPECT_EQ_MSG(test, cases[j].ret,
					    test_map_once(test, dmabuf, dev),
					    "mask %llx limit %llx", cases[j].mask,
					    cases[j].limit);
		}
	}
}

#ifdef CONFIG_SWIOTLB
/*
 * Give a device bounce buffers of its own, which are none, and so fail. The device
 * is gone with the test, and never used again.
 */
static void test_force_bounce(struct kunit *test, struct device *dev, bool force)
{
	struct io_tlb_mem *mem = kunit_kzalloc(test, sizeof(*mem), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, mem);
	mem->force_bounce = force;
	dev->dma_io_tlb_mem = mem;
}
#endif

/* What cannot be mapped here: other translations, and bouncing by force. */
static void rcar_cma_heap_reach_test(struct kunit *test)
{
	struct rcar_cma_heap_test *t = test->priv;
	const phys_addr_t base = t->region.base;
	const size_t size = t->region.size;
	struct device *dev = test_numbered_importer(test, 0);
	struct bus_dma_region map[3] = {
		{ .cpu_start = base, .dma_start = 0, .size = size },
	};

	/* A driver that says nothing, on a bus without a limit, reaches nothing. */
	*dev->dma_mask = 0;
	KUNIT_EXPECT_FALSE(test, rcar_cma_range_reachable(dev, base, size));

	/* A bus that sees the region elsewhere: its address there counts. */
	*dev->dma_mask = size - 1;
	KUNIT_EXPECT_FALSE(test, rcar_cma_range_reachable(dev, base, size));
	dev->dma_range_map = map;
	KUNIT_EXPECT_TRUE(test, rcar_cma_range_reachable(dev, base, size));
	*dev->dma_mask = DMA_BIT_MASK(32);
	map[0].dma_start = SZ_4G - size + PAGE_SIZE;
	KUNIT_EXPECT_FALSE(test, rcar_cma_range_reachable(dev, base, size));

	/* One that sees a part of it, and one that sees two halves apart. */
	map[0].dma_start = 0;
	map[0].size = size / 2;
	KUNIT_EXPECT_FALSE(test, rcar_cma_range_reachable(dev, base, size));
	map[1].cpu_start = base + size / 2;
	map[1].dma_start = size;
	map[1].size = size - size / 2;
	KUNIT_EXPECT_FALSE(test, rcar_cma_range_reachable(dev, base, size));
	map[1].dma_start = size / 2;
	KUNIT_EXPECT_TRUE(test, rcar_cma_range_reachable(dev, base, size));
	dev->dma_range_map = NULL;

#ifdef CONFIG_SWIOTLB
	test_force_bounce(test, dev, false);
	KUNIT_EXPECT_TRUE(test, rcar_cma_range_reachable(dev, base, size));
	test_force_bounce(test, dev, true);
	KUNIT_EXPECT_FALSE(test, rcar_cma_range_reachable(dev, base, size));
	test_force_bounce(test, dev, false);
#endif

#ifdef CONFIG_ARCH_HAS_DMA_OPS
	/* Operations that are no IOMMU's do what nobody knows. */
	static const struct dma_map_ops unknown_ops;

	set_dma_ops(dev, &unknown_ops);
	KUNIT_EXPECT_FALSE(test, rcar_cma_range_reachable(dev, base, size));
	set_dma_ops(dev, NULL);
#endif

	/* Behind an IOMMU that translates, nothing of this counts. */
	*dev->dma_mask = DMA_BIT_MASK(24);
	KUNIT_EXPECT_FALSE(test, rcar_cma_range_reachable(dev, base, size));
	/* One with an identity domain does not. */
	dev->iommu_group = (struct iommu_group *)test;
	KUNIT_EXPECT_FALSE(test, rcar_cma_range_reachable(dev, base, size));
	dev->iommu_group = NULL;
	if (IS_ENABLED(CONFIG_IOMMU_DMA)) {
		dev_set_dma_iommu(dev);
		KUNIT_EXPECT_TRUE(test, rcar_cma_range_reachable(dev, base, size));
		dev_clear_dma_iommu(dev);
	}
}

/* Drivers may set their mask late, and some that attach never map. */
static void rcar_cma_heap_late_mask_test(struct kunit *test)
{
	const u64 masks[] = { DMA_BIT_MASK(24), DMA_BIT_MASK(64), DMA_BIT_MASK(24) };
	struct dma_buf *dmabuf = test_export(test, SZ_64K);
	struct device *dev = test_numbered_importer(test, 0);
	struct dma_buf_attachment *attachment;
	struct sg_table *table;

	*dev->dma_mask = DMA_BIT_MASK(24);
	attachment = dma_buf_attach(dmabuf, dev);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attachment);

	for (int i = 0; i < ARRAY_SIZE(masks); i++) {
		*dev->dma_mask = masks[i];
		table = dma_buf_map_attachment_unlocked(attachment,
							DMA_BIDIRECTIONAL);
		if (masks[i] == DMA_BIT_MASK(24)) {
			KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(table), -EOPNOTSUPP);
			continue;
		}
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, table);
		dma_buf_unmap_attachment_unlocked(attachment, table,
						  DMA_BIDIRECTIONAL);
	}
	dma_buf_detach(dmabuf, attachment);
}

static int fail_map_own(const struct rcar_cma_heap *heap, struct page *page,
			size_t size, dma_addr_t *dma_addr)
{
	return -ENOMEM;
}

/* No buffer goes out that could not be cleaned, and none of it stays behind. */
static void rcar_cma_heap_map_own_fails_test(struct kunit *test)
{
	struct rcar_cma_heap_test *t = test->priv;
	struct rcar_cma_heap *heaps[] = { &t->heap, &t->uncached };

	kunit_activate_static_stub(test, rcar_cma_heap_map_own, fail_map_own);
	for (int i = 0; i < ARRAY_SIZE(heaps); i++)
		KUNIT_EXPECT_EQ(test, -ENOMEM,
				PTR_ERR_OR_ZERO(rcar_cma_heap_export(heaps[i], SZ_64K,
								     O_RDWR)));
	kunit_deactivate_static_stub(test, rcar_cma_heap_map_own);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&t->region.used), 0);
}

#ifdef CONFIG_SWIOTLB
/* The same by an error of the DMA API. */
static void rcar_cma_heap_map_own_error_test(struct kunit *test)
{
	struct rcar_cma_heap_test *t = test->priv;
	struct rcar_cma_heap *heaps[] = { &t->heap, &t->uncached };

	test_force_bounce(test, t->region.dev, true);
	for (int i = 0; i < ARRAY_SIZE(heaps); i++)
		KUNIT_EXPECT_EQ(test, -ENOMEM,
				PTR_ERR_OR_ZERO(rcar_cma_heap_export(heaps[i], SZ_64K,
								     O_RDWR)));
}
#endif

static int fail_map_table(struct device *dev, struct sg_table *table,
			  enum dma_data_direction dir, unsigned long attrs)
{
	return -EREMOTEIO;
}

/* The importer gets the errno of the DMA API, and is not counted as mapped. */
static void rcar_cma_heap_map_table_fails_test(struct kunit *test)
{
	struct rcar_cma_heap_test *t = test->priv;
	struct rcar_cma_heap *heaps[] = { &t->heap, &t->uncached };
	struct device *dev = test_numbered_importer(test, 0);
	struct dma_watch *w = watch_start(test);

	for (int i = 0; i < ARRAY_SIZE(heaps); i++) {
		struct dma_buf *dmabuf = test_export_from(test, heaps[i], SZ_64K);
		struct dma_buf_attachment *attachment = dma_buf_attach(dmabuf, dev);
		struct sg_table *table;

		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attachment);
		kunit_activate_static_stub(test, rcar_cma_heap_map_table,
					   fail_map_table);
		table = dma_buf_map_attachment_unlocked(attachment,
							DMA_BIDIRECTIONAL);
		KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(table), -EREMOTEIO);
		kunit_deactivate_static_stub(test, rcar_cma_heap_map_table);

		watch_buffer(test, w, dmabuf);
		test_access(test, w, dmabuf, DMA_BIDIRECTIONAL, 0);
		dma_buf_detach(dmabuf, attachment);
	}
}

/* For the stub, which has no argument for it. */
static unsigned long attrs_of_map;

static int note_map_attrs(struct device *dev, struct sg_table *table,
			  enum dma_data_direction dir, unsigned long attrs)
{
	attrs_of_map = attrs;

	return dma_map_sgtable(dev, table, dir, attrs);
}

/*
 * All mappings of a buffer share cache lines, which the DMA API's debugging is told:
 * where swiotlb is active it does not look for them, so that it would not notice.
 */
static void rcar_cma_heap_map_attrs_test(struct kunit *test)
{
	struct rcar_cma_heap_test *t = test->priv;
	struct dma_buf *uncached = test_export_from(test, &t->uncached, SZ_64K);
	const unsigned long overlaps = DMA_ATTR_DEBUGGING_IGNORE_CACHELINES;
	struct device *dev = test_numbered_importer(test, 0);

	kunit_activate_static_stub(test, rcar_cma_heap_map_table, note_map_attrs);
	KUNIT_EXPECT_EQ(test, test_map_once(test, test_export(test, SZ_64K), dev), 0);
	KUNIT_EXPECT_EQ(test, attrs_of_map, overlaps);

	KUNIT_EXPECT_EQ(test, test_map_once(test, uncached, dev), 0);
	KUNIT_EXPECT_EQ(test, attrs_of_map, overlaps | DMA_ATTR_SKIP_CPU_SYNC);
}

/**
 * struct race - one end of a CPU access, by another thread
 * @work:	the call
 * @dmabuf:	the buffer
 * @dir:	direction of the access
 * @end:	whether it is the end of the access, and not its begin
 * @done:	that the call has returned
 * @early:	whether it returned before it was to
 */
struct race {
	struct work_struct work;
	struct dma_buf *dmabuf;
	enum dma_data_direction dir;
	bool end;
	struct completion done;
	bool early;
};

static void race_access(struct work_struct *work)
{
	struct race *r = container_of(work, struct race, work);

	if (r->end)
		dma_buf_end_cpu_access(r->dmabuf, r->dir);
	else
		dma_buf_begin_cpu_access(r->dmabuf, r->dir);
	complete(&r->done);
}

/* Wait far longer than the call takes that is not kept waiting. */
static void race_start(struct race *r)
{
	queue_work(system_dfl_wq, &r->work);
	r->early = wait_for_completion_timeout(&r->done, msecs_to_jiffies(200));
}

static struct race *race_new(struct kunit *test, struct dma_buf *dmabuf,
			     enum dma_data_direction dir, bool end)
{
	struct race *r = kunit_kzalloc(test, sizeof(*r), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, r);
	r->dmabuf = dmabuf;
	r->dir = dir;
	r->end = end;
	INIT_WORK(&r->work, race_access);
	init_completion(&r->done);

	return r;
}

/* For the stub, which has no argument for it. */
static struct race *race_of_map;

static int race_map_table(struct device *dev, struct sg_table *table,
			  enum dma_data_direction dir, unsigned long attrs)
{
	race_start(race_of_map);

	return dma_map_sgtable(dev, table, dir, attrs);
}

struct exclusion_case {
	const char *what;
	bool end;
};

static const struct exclusion_case exclusion_cases[] = {
	{ "begin", false },
	{ "end", true },
};

KUNIT_ARRAY_PARAM_DESC(exclusion, exclusion_cases, what);

/* CPU access that comes during a map waits for its end, and counts it. */
static void rcar_cma_heap_exclusion_test(struct kunit *test)
{
	const struct exclusion_case *c = test->param_value;
	struct device *dev = test_numbered_importer(test, 0);
	struct dma_watch *w = watch_start(test);
	struct dma_buf *dmabuf = test_export(test, SZ_64K);
	struct dma_buf_attachment *attachment;
	struct sg_table *table;

	race_of_map = race_new(test, dmabuf, DMA_BIDIRECTIONAL, c->end);
	watch_buffer(test, w, dmabuf);

	attachment = dma_buf_attach(dmabuf, dev);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attachment);
	kunit_activate_static_stub(test, rcar_cma_heap_map_table, race_map_table);
	table = dma_buf_map_attachment_unlocked(attachment, DMA_BIDIRECTIONAL);
	kunit_deactivate_static_stub(test, rcar_cma_heap_map_table);
	flush_work(&race_of_map->work);

	KUNIT_EXPECT_FALSE(test, race_of_map->early);
	KUNIT_EXPECT_EQ(test, w->for_cpu, !c->end);
	KUNIT_EXPECT_EQ(test, w->for_device, c->end);
	KUNIT_EXPECT_EQ(test, w->unlocked, 0);
	if (IS_ERR(table))
		KUNIT_FAIL(test, "map: %ld\n", PTR_ERR(table));
	else
		dma_buf_unmap_attachment_unlocked(attachment, table,
						  DMA_BIDIRECTIONAL);
	dma_buf_detach(dmabuf, attachment);
}

static const char *fence_name(struct dma_fence *fence)
{
	return "kunit";
}

static const struct dma_fence_ops fence_ops = {
	.get_driver_name = fence_name,
	.get_timeline_name = fence_name,
};

static DEFINE_SPINLOCK(fence_lock);

/* What a device still does with the buffer; the caller signals and puts it. */
static struct dma_fence *fence_add(struct kunit *test, struct dma_buf *dmabuf,
				   enum dma_resv_usage usage)
{
	struct dma_fence *fence = kzalloc_obj(*fence);

	KUNIT_ASSERT_NOT_NULL(test, fence);
	dma_fence_init(fence, &fence_ops, &fence_lock,
		       dma_fence_context_alloc(1), 1);
	dma_resv_lock(dmabuf->resv, NULL);
	KUNIT_EXPECT_EQ(test, 0, dma_resv_reserve_fences(dmabuf->resv, 1));
	dma_resv_add_fence(dmabuf->resv, fence, usage);
	dma_resv_unlock(dmabuf->resv);

	return fence;
}

struct fence_case {
	const char *what;
	enum dma_resv_usage usage;
	enum dma_data_direction dir;
	bool waits;
};

static const struct fence_case fence_cases[] = {
	{ "read after write", DMA_RESV_USAGE_WRITE, DMA_FROM_DEVICE, true },
	{ "write after write", DMA_RESV_USAGE_WRITE, DMA_TO_DEVICE, true },
	{ "write after read", DMA_RESV_USAGE_READ, DMA_TO_DEVICE, true },
	{ "both after read", DMA_RESV_USAGE_READ, DMA_BIDIRECTIONAL, true },
	{ "read after read", DMA_RESV_USAGE_READ, DMA_FROM_DEVICE, false },
};

KUNIT_ARRAY_PARAM_DESC(fence, fence_cases, what);

/* Caches are looked after when the device is done, and not before. */
static void rcar_cma_heap_fence_test(struct kunit *test)
{
	const struct fence_case *c = test->param_value;
	struct device *dev = test_numbered_importer(test, 0);
	struct dma_watch *w = watch_start(test);
	struct dma_buf *dmabuf = test_export(test, SZ_64K);
	struct dma_buf_attachment *attachment;
	struct dma_fence *fence;
	struct sg_table *table;
	struct race *r;

	attachment = dma_buf_attach(dmabuf, dev);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attachment);
	table = dma_buf_map_attachment_unlocked(attachment, DMA_BIDIRECTIONAL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, table);
	fence = fence_add(test, dmabuf, c->usage);
	r = race_new(test, dmabuf, c->dir, false);
	watch_buffer(test, w, dmabuf);

	race_start(r);
	KUNIT_EXPECT_EQ(test, r->early, !c->waits);
	KUNIT_EXPECT_EQ(test, w->for_cpu, !c->waits);
	dma_fence_signal(fence);
	flush_work(&r->work);
	KUNIT_EXPECT_EQ(test, w->for_cpu, 1);

	dma_fence_put(fence);
	dma_buf_unmap_attachment_unlocked(attachment, table, DMA_BIDIRECTIONAL);
	dma_buf_detach(dmabuf, attachment);
}

/* As if somebody had killed it, KUnit's thread being one that takes no signals. */
static void test_kill(void)
{
	sigaddset(&current->pending.signal, SIGKILL);
	set_tsk_thread_flag(current, TIF_SIGPENDING);
}

static void test_revive(void)
{
	sigdelset(&current->pending.signal, SIGKILL);
	recalc_sigpending();
}

/* A signal ends the wait for a device, and the caches are left alone. */
static void rcar_cma_heap_wait_killed_test(struct kunit *test)
{
	struct device *dev = test_numbered_importer(test, 0);
	struct dma_watch *w = watch_start(test);
	struct dma_buf *dmabuf = test_export(test, SZ_64K);
	struct dma_buf_attachment *attachment;
	struct dma_fence *fence;
	struct sg_table *table;
	int ret;

	attachment = dma_buf_attach(dmabuf, dev);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, attachment);
	table = dma_buf_map_attachment_unlocked(attachment, DMA_BIDIRECTIONAL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, table);
	fence = fence_add(test, dmabuf, DMA_RESV_USAGE_WRITE);
	watch_buffer(test, w, dmabuf);

	test_kill();
	ret = dma_buf_begin_cpu_access(dmabuf, DMA_FROM_DEVICE);
	test_revive();
	KUNIT_EXPECT_EQ(test, ret, -ERESTARTSYS);
	KUNIT_EXPECT_EQ(test, w->for_cpu, 0);
	KUNIT_EXPECT_FALSE(test, dma_resv_is_locked(dmabuf->resv));

	dma_fence_signal(fence);
	dma_fence_put(fence);
	dma_buf_unmap_attachment_unlocked(attachment, table, DMA_BIDIRECTIONAL);
	dma_buf_detach(dmabuf, attachment);
}

/* The rule, of each size up to where all are alike, without its formula. */
static void rcar_cma_heap_all_sizes_test(struct kunit *test)
{
	for (size_t size = PAGE_SIZE; size <= 9 * SZ_2M; size += PAGE_SIZE) {
		size_t lost = DIV_ROUND_UP(size, SZ_2M) * SZ_2M - size;
		size_t align = 8 * lost > size ? SZ_16K : SZ_2M;

		KUNIT_EXPECT_EQ_MSG(test, rcar_cma_heap_align_order(size),
				    get_order(align), "%zu bytes", size);
	}
}

/* A process that is to die gets no memory, and leaves none behind. */
static void rcar_cma_heap_killed_test(struct kunit *test)
{
	const size_t sizes[] = { PAGE_SIZE, 3 * SZ_2M };
	struct rcar_cma_heap_test *t = test->priv;
	struct rcar_cma_heap *heaps[] = { &t->heap, &t->uncached };
	long ret[ARRAY_SIZE(sizes) * ARRAY_SIZE(heaps)];

	test_kill();
	for (int i = 0; i < ARRAY_SIZE(ret); i++)
		ret[i] = PTR_ERR_OR_ZERO(rcar_cma_heap_export(heaps[i % 2],
							      sizes[i / 2], O_RDWR));
	test_revive();

	for (int i = 0; i < ARRAY_SIZE(ret); i++)
		KUNIT_EXPECT_EQ(test, ret[i], -EINTR);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&t->region.used), 0);
}

#define TEST_THREADS	4
#define TEST_ROUNDS	64

/**
 * struct worker - one of several threads that allocate and free
 * @work:	what runs in it
 * @heap:	heap to allocate from
 * @number:	which of them it is, and what it writes
 * @wrong:	how many buffers did not hold what they should have
 */
struct worker {
	struct work_struct work;
	struct rcar_cma_heap *heap;
	u8 number;
	unsigned int wrong;
};

/* New memory is zeroed, and nobody else's. */
static void worker_use(struct worker *w, struct dma_buf *dmabuf)
{
	struct iosys_map map;

	if (dma_buf_vmap_unlocked(dmabuf, &map)) {
		w->wrong++;
		return;
	}
	w->wrong += !!memchr_inv(map.vaddr, 0, dmabuf->size);
	memset(map.vaddr, w->number, dmabuf->size);
	cond_resched();
	w->wrong += !!memchr_inv(map.vaddr, w->number, dmabuf->size);
	dma_buf_vunmap_unlocked(dmabuf, &map);
}

static void worker_run(struct work_struct *work)
{
	struct worker *w = container_of(work, struct worker, work);

	for (int i = 0; i < TEST_ROUNDS; i++) {
		size_t size = (1 + (i * w->number) % 31) * PAGE_SIZE;
		struct dma_buf *dmabuf = rcar_cma_heap_export(w->heap, size, O_RDWR);

		if (IS_ERR(dmabuf)) {
			w->wrong++;
			continue;
		}
		worker_use(w, dmabuf);
		test_put(dmabuf);
	}
}

static void rcar_cma_heap_concurrent_test(struct kunit *test)
{
	struct rcar_cma_heap_test *t = test->priv;
	struct worker *workers;

	workers = kunit_kcalloc(test, TEST_THREADS, sizeof(*workers), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, workers);
	for (int i = 0; i < TEST_THREADS; i++) {
		workers[i].heap = i % 2 ? &t->heap : &t->uncached;
		workers[i].number = i + 1;
		INIT_WORK(&workers[i].work, worker_run);
		queue_work(system_dfl_wq, &workers[i].work);
	}
	for (int i = 0; i < TEST_THREADS; i++) {
		flush_work(&workers[i].work);
		KUNIT_EXPECT_EQ(test, workers[i].wrong, 0);
	}
	/* One thread may still be at the puts of another one. */
	for (int i = 0; i < 100 && atomic_long_read(&t->region.used); i++)
		msleep(20);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&t->region.used), 0);
}

/* Map a part of a buffer that is full of different words, one for each page. */
static void test_mmap_part(struct kunit *test, struct dma_buf *dmabuf,
			   unsigned long first, unsigned long count)
{
	unsigned long addr;
	u32 word;

	addr = kunit_vm_mmap(test, dmabuf->file, 0, count * PAGE_SIZE,
			     PROT_READ | PROT_WRITE, MAP_SHARED, first * PAGE_SIZE);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	KUNIT_ASSERT_NE(test, addr, 0);

	for (unsigned long i = 0; i < count; i++) {
		void __user *at = (void __user *)(addr + i * PAGE_SIZE);

		KUNIT_EXPECT_EQ(test, 0, copy_from_user(&word, at, sizeof(word)));
		KUNIT_EXPECT_EQ(test, word, first + i + 1);
	}
	vm_munmap(addr, count * PAGE_SIZE);
}

/* Whatever part is mapped, and nothing beyond the end. */
static void rcar_cma_heap_mmap_parts_test(struct kunit *test)
{
	const unsigned long pages = SZ_64K / PAGE_SIZE;
	struct dma_buf *dmabuf = test_export(test, SZ_64K);
	struct iosys_map map;

	KUNIT_ASSERT_EQ(test, 0, dma_buf_vmap_unlocked(dmabuf, &map));
	for (unsigned long i = 0; i < pages; i++)
		*(u32 *)(map.vaddr + i * PAGE_SIZE) = i + 1;
	dma_buf_vunmap_unlocked(dmabuf, &map);

	for (unsigned long first = 0; first < pages; first++)
		for (unsigned long count = 1; first + count <= pages; count++)
			test_mmap_part(test, dmabuf, first, count);

	KUNIT_EXPECT_EQ(test, -EINVAL,
			(long)kunit_vm_mmap(test, dmabuf->file, 0,
					    SZ_64K + PAGE_SIZE, PROT_READ, MAP_SHARED, 0));
	KUNIT_EXPECT_EQ(test, -EINVAL,
			(long)kunit_vm_mmap(test, dmabuf->file, 0, PAGE_SIZE,
					    PROT_READ, MAP_SHARED, SZ_64K));
}

#ifdef CONFIG_ARCH_SUPPORTS_PMD_PFNMAP
/* An address whose PMDs agree with those of a buffer, and which nothing else is at. */
#define TEST_ADDR	SZ_1G
/* 3 whole PMDs of it, and some of a fourth. */
#define TEST_HUGE_SIZE	(4 * PMD_SIZE - SZ_64K)

struct huge_case {
	const char *what;
	bool uncached;
};

static const struct huge_case huge_cases[] = {
	{ "cached", false },
	{ "uncached", true },
};

KUNIT_ARRAY_PARAM_DESC(huge, huge_cases, what);

static struct dma_buf *test_export_huge(struct kunit *test)
{
	const struct huge_case *c = test->param_value;
	struct rcar_cma_heap_test *t = test->priv;
	struct dma_buf *dmabuf;

	if (t->region.size < TEST_HUGE_SIZE)
		kunit_skip(test, "the default CMA area is too small");

	dmabuf = test_export_from(test, c->uncached ? &t->uncached : &t->heap,
				  TEST_HUGE_SIZE);
	if (PMD_SIZE > SZ_2M)
		kunit_skip(test, "no buffer is aligned to a PMD of larger pages");
	KUNIT_ASSERT_TRUE(test, IS_ALIGNED(page_to_phys(test_first_page(test, dmabuf)),
					   PMD_SIZE));

	return dmabuf;
}

static void test_map_at(struct kunit *test, struct dma_buf *dmabuf,
			unsigned long addr, size_t size, size_t offset)
{
	KUNIT_ASSERT_EQ(test, addr,
			kunit_vm_mmap(test, dmabuf->file, addr, size,
				      PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_FIXED_NOREPLACE, offset));
}

/*
 * The size of the entry that maps an address, or 0. If there is one it has to be to
 * that byte of the buffer whose first page this is, writable, and of the memory type
 * of the whole mapping.
 */
static size_t test_entry_size(struct kunit *test, unsigned long first,
			      unsigned long addr, size_t offset)
{
	struct follow_pfnmap_args args = { .address = addr };
	pgprot_t prot __maybe_unused = __pgprot(0);
	bool found;

	mmap_read_lock(current->mm);
	args.vma = vma_lookup(current->mm, addr);
	found = args.vma && !follow_pfnmap_start(&args);
	if (found) {
		prot = args.vma->vm_page_prot;
		follow_pfnmap_end(&args);
	}
	mmap_read_unlock(current->mm);
	if (!found)
		return 0;

	KUNIT_EXPECT_EQ(test, args.pfn, first + (offset >> PAGE_SHIFT));
	KUNIT_EXPECT_TRUE(test, args.writable);
	KUNIT_EXPECT_TRUE(test, args.special);
#ifdef CONFIG_ARM64
	KUNIT_EXPECT_EQ(test, pgprot_val(args.pgprot) & PTE_ATTRINDX_MASK,
			pgprot_val(prot) & PTE_ATTRINDX_MASK);
#endif

	return -args.addr_mask;
}

/* Write to the buffer through the mapping. */
static void test_touch(struct kunit *test, unsigned long addr)
{
	KUNIT_ASSERT_EQ(test, 0, put_user(addr, (unsigned long __user *)addr));
}

/* A whole PMD is one entry, made by the first access; what is beyond is there. */
static void rcar_cma_heap_huge_test(struct kunit *test)
{
	struct dma_buf *dmabuf = test_export_huge(test);
	const unsigned long first = page_to_pfn(test_first_page(test, dmabuf));
	size_t offset;

	test_map_at(test, dmabuf, TEST_ADDR, TEST_HUGE_SIZE, 0);
	for (offset = 0; offset + PMD_SIZE <= TEST_HUGE_SIZE; offset += PMD_SIZE) {
		unsigned long addr = TEST_ADDR + offset;

		KUNIT_EXPECT_EQ(test, test_entry_size(test, first, addr, offset), 0);
		test_touch(test, addr + PMD_SIZE / 2);
		KUNIT_EXPECT_EQ(test, test_entry_size(test, first, addr, offset),
				PMD_SIZE);
		KUNIT_EXPECT_EQ(test, test_entry_size(test, first,
						      addr + PMD_SIZE - PAGE_SIZE,
						      offset + PMD_SIZE - PAGE_SIZE),
				PMD_SIZE);
	}
	for (; offset < TEST_HUGE_SIZE; offset += PAGE_SIZE)
		KUNIT_EXPECT_EQ(test, test_entry_size(test, first, TEST_ADDR + offset,
						      offset), PAGE_SIZE);
	vm_munmap(TEST_ADDR, TEST_HUGE_SIZE);
}

/* Pages before and after the only whole PMD, of a part of the buffer. */
static void rcar_cma_heap_huge_part_test(struct kunit *test)
{
	const size_t start = PMD_SIZE - 3 * PAGE_SIZE;
	const size_t size = PMD_SIZE + 5 * PAGE_SIZE;
	struct dma_buf *dmabuf = test_export_huge(test);
	const unsigned long first = page_to_pfn(test_first_page(test, dmabuf));
	size_t offset;

	test_map_at(test, dmabuf, TEST_ADDR + start, size, start);
	for (offset = start; offset < start + size; offset += PAGE_SIZE) {
		bool whole = offset >= PMD_SIZE && offset < 2 * PMD_SIZE;

		KUNIT_EXPECT_EQ(test, test_entry_size(test, first, TEST_ADDR + offset,
						      offset), whole ? 0 : PAGE_SIZE);
	}
	test_touch(test, TEST_ADDR + PMD_SIZE);
	KUNIT_EXPECT_EQ(test, test_entry_size(test, first, TEST_ADDR + PMD_SIZE,
					      PMD_SIZE), PMD_SIZE);
	vm_munmap(TEST_ADDR + start, size);
}

/* Where address and memory do not agree, all pages are there at once. */
static void rcar_cma_heap_huge_misfit_test(struct kunit *test)
{
	struct dma_buf *dmabuf = test_export_huge(test);
	const unsigned long first = page_to_pfn(test_first_page(test, dmabuf));
	const unsigned long addr = TEST_ADDR + PAGE_SIZE;
	size_t offset;

	test_map_at(test, dmabuf, addr, TEST_HUGE_SIZE, 0);
	for (offset = 0; offset < TEST_HUGE_SIZE; offset += PAGE_SIZE)
		KUNIT_EXPECT_EQ(test, test_entry_size(test, first, addr + offset,
						      offset), PAGE_SIZE);
	vm_munmap(addr, TEST_HUGE_SIZE);
}

/* Of a PMD that lost a page the others come back with the next access to one. */
static void rcar_cma_heap_huge_split_test(struct kunit *test)
{
	const unsigned long hole = TEST_ADDR + PMD_SIZE + 7 * PAGE_SIZE;
	struct dma_buf *dmabuf = test_export_huge(test);
	const unsigned long first = page_to_pfn(test_first_page(test, dmabuf));
	unsigned long word;
	size_t offset;

	test_map_at(test, dmabuf, TEST_ADDR, TEST_HUGE_SIZE, 0);
	for (offset = 0; offset < 3 * PMD_SIZE; offset += PAGE_SIZE)
		test_touch(test, TEST_ADDR + offset);
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(hole, PAGE_SIZE));

	KUNIT_EXPECT_EQ(test, test_entry_size(test, first, TEST_ADDR, 0), PMD_SIZE);
	KUNIT_EXPECT_EQ(test, test_entry_size(test, first, TEST_ADDR + 2 * PMD_SIZE,
					      2 * PMD_SIZE), PMD_SIZE);
	for (offset = PMD_SIZE; offset < 2 * PMD_SIZE; offset += PAGE_SIZE)
		KUNIT_EXPECT_EQ(test, test_entry_size(test, first, TEST_ADDR + offset,
						      offset), 0);

	/* On either side of the hole, which are two mappings now. */
	test_touch(test, hole - PAGE_SIZE);
	test_touch(test, hole + PAGE_SIZE);
	for (offset = PMD_SIZE; offset < 2 * PMD_SIZE; offset += PAGE_SIZE) {
		unsigned long addr = TEST_ADDR + offset;
		unsigned long __user *at = (unsigned long __user *)addr;

		if (addr == hole) {
			KUNIT_EXPECT_EQ(test, -EFAULT, put_user(1UL, at));
			continue;
		}
		KUNIT_EXPECT_EQ(test, test_entry_size(test, first, addr, offset),
				PAGE_SIZE);
		KUNIT_EXPECT_EQ(test, 0, get_user(word, at));
		KUNIT_EXPECT_EQ(test, word, addr);
		test_touch(test, addr);
	}
	vm_munmap(TEST_ADDR, TEST_HUGE_SIZE);
}

/* mmap() itself chooses an address that agrees, with any offset in the buffer. */
static void rcar_cma_heap_huge_address_test(struct kunit *test)
{
	static const size_t offsets[] = { 0, SZ_64K, PMD_SIZE - SZ_64K, PMD_SIZE };
	struct dma_buf *dmabuf = test_export_huge(test);

	/* A page that is mapped before makes the next address an odd one. */
	for (int i = 0; i < ARRAY_SIZE(offsets); i++) {
		const size_t size = TEST_HUGE_SIZE - offsets[i];
		unsigned long addr, odd;

		odd = kunit_vm_mmap(test, dmabuf->file, 0, PAGE_SIZE, PROT_READ,
				    MAP_SHARED, 0);
		KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(odd));
		addr = kunit_vm_mmap(test, dmabuf->file, 0, size,
				     PROT_READ | PROT_WRITE, MAP_SHARED, offsets[i]);
		KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
		KUNIT_EXPECT_EQ(test, addr % PMD_SIZE, offsets[i] % PMD_SIZE);
		vm_munmap(addr, size);
		vm_munmap(odd, PAGE_SIZE);
	}
}
#endif /* CONFIG_ARCH_SUPPORTS_PMD_PFNMAP */

static struct kunit_case rcar_cma_heap_cases[] = {
	KUNIT_CASE_PARAM(rcar_cma_heap_align_order_test, align_gen_params),
	KUNIT_CASE_PARAM(rcar_cma_heap_placement_test, align_gen_params),
	KUNIT_CASE(rcar_cma_heap_zeroed_test),
	KUNIT_CASE(rcar_cma_heap_too_large_test),
	KUNIT_CASE(rcar_cma_heap_exhaustion_test),
	KUNIT_CASE(rcar_cma_heap_lifetime_test),
	KUNIT_CASE(rcar_cma_heap_vmap_test),
	KUNIT_CASE(rcar_cma_heap_mmap_test),
	KUNIT_CASE(rcar_cma_heap_scatterlist_test),
	KUNIT_CASE(rcar_cma_heap_importers_test),
	KUNIT_CASE(rcar_cma_heap_map_maintenance_test),
	KUNIT_CASE_PARAM(rcar_cma_heap_access_test, mix_gen_params),
	KUNIT_CASE_PARAM(rcar_cma_heap_orders_test, orders_gen_params),
	KUNIT_CASE_PARAM(rcar_cma_heap_exclusion_test, exclusion_gen_params),
	KUNIT_CASE_PARAM(rcar_cma_heap_fence_test, fence_gen_params),
	KUNIT_CASE(rcar_cma_heap_uncached_maintenance_test),
#ifdef CONFIG_ARM64
	KUNIT_CASE(rcar_cma_heap_memory_type_test),
#endif
	KUNIT_CASE(rcar_cma_heap_uncached_mmap_test),
	KUNIT_CASE(rcar_cma_heap_uncached_vmap_test),
	KUNIT_CASE(rcar_cma_heap_snooping_test),
	KUNIT_CASE(rcar_cma_heap_masks_test),
	KUNIT_CASE(rcar_cma_heap_reach_test),
	KUNIT_CASE(rcar_cma_heap_late_mask_test),
	KUNIT_CASE(rcar_cma_heap_all_sizes_test),
	KUNIT_CASE(rcar_cma_heap_killed_test),
	KUNIT_CASE(rcar_cma_heap_wait_killed_test),
	KUNIT_CASE(rcar_cma_heap_concurrent_test),
	KUNIT_CASE(rcar_cma_heap_mmap_parts_test),
#ifdef CONFIG_ARCH_SUPPORTS_PMD_PFNMAP
	KUNIT_CASE_PARAM(rcar_cma_heap_huge_test, huge_gen_params),
	KUNIT_CASE_PARAM(rcar_cma_heap_huge_part_test, huge_gen_params),
	KUNIT_CASE_PARAM(rcar_cma_heap_huge_misfit_test, huge_gen_params),
	KUNIT_CASE_PARAM(rcar_cma_heap_huge_split_test, huge_gen_params),
	KUNIT_CASE_PARAM(rcar_cma_heap_huge_address_test, huge_gen_params),
#endif
	KUNIT_CASE(rcar_cma_heap_map_own_fails_test),
#ifdef CONFIG_SWIOTLB
	KUNIT_CASE(rcar_cma_heap_map_own_error_test),
#endif
	KUNIT_CASE(rcar_cma_heap_map_table_fails_test),
	KUNIT_CASE(rcar_cma_heap_map_attrs_test),
	{}
};

static struct kunit_suite rcar_cma_heap_suite = {
	.name = "rcar_cma_heap",
	.init = rcar_cma_heap_test_init,
	.test_cases = rcar_cma_heap_cases,
};

kunit_test_suite(rcar_cma_heap_suite);

/* The half that is there at boot alone. It asks memblock, which not all keep. */
#if !defined(MODULE) && defined(CONFIG_ARCH_KEEP_MEMBLOCK)
static void __init rcar_cma_heap_region_test(struct kunit *test)
{
	const phys_addr_t limit = (phys_addr_t)SZ_4G;
	const phys_addr_t align = CMA_MIN_ALIGNMENT_BYTES;
	const phys_addr_t start = ALIGN(memblock_start_of_DRAM(), align);
	const phys_addr_t end = ALIGN(memblock_end_of_DRAM(), align);
	const struct {
		phys_addr_t base, size;
		const char *says;
	} cases[] = {
		{ start, align, NULL },
		{ start, 2 * align, NULL },
		{ start + PAGE_SIZE, align, "alignment" },
		{ start, align + PAGE_SIZE, "alignment" },
		{ start + align / 2, align, "alignment" },
		{ limit, align, "4 GiB" },
		{ limit - align, 2 * align, "4 GiB" },
		{ end, align, end < limit ? "mem=" : "4 GiB" },
		{ end - align, 2 * align, end < limit ? "mem=" : "4 GiB" },
	};

	if (!limit)
		kunit_skip(test, "addresses have 32 bits");
	if (start + 2 * align > min(end, limit))
		kunit_skip(test, "no memory below 4 GiB");

	for (int i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *fault = rcar_cma_rmem_fault(cases[i].base, cases[i].size);

		if (!cases[i].says)
			KUNIT_EXPECT_NULL_MSG(test, fault, "case %d", i);
		else if (!fault || !strstr(fault, cases[i].says))
			KUNIT_FAIL(test, "case %d: %s\n", i, fault ?: "no fault");
	}
}

static struct kunit_case __refdata rcar_cma_heap_init_cases[] = {
	KUNIT_CASE(rcar_cma_heap_region_test),
	{}
};

static struct kunit_suite rcar_cma_heap_init_suite = {
	.name = "rcar_cma_heap_init",
	.test_cases = rcar_cma_heap_init_cases,
};

kunit_test_init_section_suite(rcar_cma_heap_init_suite);
#endif

MODULE_DESCRIPTION("KUnit tests of the R-Car media memory heap");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("DMA_BUF");
MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");
