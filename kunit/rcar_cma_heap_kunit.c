// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the R-Car media memory heap
 *
 * They allocate from the default CMA area, of which they need TEST_AREA_SIZE,
 * and are skipped where it is smaller, or too large to be filled.
 * No heap is registered, since none could be unregistered.
 */

#include <linux/cma.h>
#include <linux/dma-buf.h>
#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/iosys-map.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/scatterlist.h>
#include <linux/sched.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <kunit/platform_device.h>
#include <kunit/test.h>

#include "../rcar_cma_heap.h"

#define TEST_AREA_SIZE	SZ_32M
#define TEST_CHUNK	SZ_1M
#define TEST_CHUNKS_MAX	512
#define VMA_TEST_FLAGS	(VM_PFNMAP | VM_IO | VM_DONTEXPAND | VM_DONTDUMP)

/**
 * struct rcar_cma_heap_test - what each test gets
 * @heap:	a heap on the default CMA area, not registered
 * @chunks:	how many pieces of TEST_CHUNK the area held before the test
 * @pages:	room to hold that many pieces
 * @bufs:	room to hold that many buffers
 */
struct rcar_cma_heap_test {
	struct rcar_cma_heap heap;
	unsigned int chunks;
	struct page *pages[TEST_CHUNKS_MAX];
	struct dma_buf *bufs[TEST_CHUNKS_MAX];
};

/* How many pieces of TEST_CHUNK the area has: one leaked page makes it fewer. */
static unsigned int test_count_chunks(struct rcar_cma_heap_test *t)
{
	const unsigned long count = TEST_CHUNK >> PAGE_SHIFT;
	unsigned int i, n;

	for (n = 0; n < TEST_CHUNKS_MAX; n++) {
		t->pages[n] = cma_alloc(t->heap.cma, count,
					rcar_cma_heap_align_order(TEST_CHUNK),
					true);
		if (!t->pages[n])
			break;
	}
	for (i = 0; i < n; i++)
		cma_release(t->heap.cma, t->pages[i], count);

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

	KUNIT_EXPECT_EQ(test, atomic_long_read(&t->heap.used), 0);
	KUNIT_EXPECT_EQ(test, test_count_chunks(t), t->chunks);
}

static int rcar_cma_heap_test_init(struct kunit *test)
{
	struct rcar_cma_heap_test *t;

	t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, t);
	test->priv = t;

	t->heap.cma = dev_get_cma_area(NULL);
	if (!t->heap.cma)
		kunit_skip(test, "no default CMA area: set CONFIG_CMA_SIZE_MBYTES");

	t->chunks = test_count_chunks(t);
	if (t->chunks < TEST_AREA_SIZE / TEST_CHUNK ||
	    t->chunks == TEST_CHUNKS_MAX)
		kunit_skip(test, "%u MiB of the area are free: set CONFIG_CMA_SIZE_MBYTES=64",
			   t->chunks);

	t->heap.name = "kunit";
	t->heap.size = t->chunks * TEST_CHUNK;

	/* An action and not .exit, which comes before the actions of the test. */
	return kunit_add_action(test, test_check_area, test);
}

/* Allocate a buffer that the end of the test frees. */
static struct dma_buf *test_export(struct kunit *test, size_t size)
{
	struct rcar_cma_heap_test *t = test->priv;
	struct dma_buf *dmabuf = rcar_cma_heap_export(&t->heap, size, O_RDWR);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dmabuf);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, test_put, dmabuf));

	return dmabuf;
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
	const size_t sizes[] = { t->heap.size + PAGE_SIZE, SZ_1G,
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
		KUNIT_EXPECT_EQ(test, atomic_long_read(&t->heap.used),
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
	KUNIT_EXPECT_EQ(test, atomic_long_read(&t->heap.used), SZ_64K);
	test_put(dmabuf);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&t->heap.used), 0);
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
	KUNIT_EXPECT_EQ(test, table->sgl->length, SZ_4M);
	KUNIT_EXPECT_EQ(test, sg_dma_len(table->sgl), SZ_4M);
	/* Importers such as rcar-du read the pages. */
	if (!IS_ENABLED(CONFIG_DMABUF_DEBUG))
		KUNIT_EXPECT_PTR_EQ(test, sg_page(table->sgl), page);
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
	{}
};

static struct kunit_suite rcar_cma_heap_suite = {
	.name = "rcar_cma_heap",
	.init = rcar_cma_heap_test_init,
	.test_cases = rcar_cma_heap_cases,
};

kunit_test_suite(rcar_cma_heap_suite);

MODULE_DESCRIPTION("KUnit tests of the R-Car media memory heap");
MODULE_LICENSE("GPL");
MODULE_IMPORT_NS("DMA_BUF");
MODULE_IMPORT_NS("EXPORTED_FOR_KUNIT_TESTING");
