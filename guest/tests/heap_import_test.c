// SPDX-License-Identifier: GPL-2.0
/*
 * Importers of either heap that snoop CPU caches, and such that do not, by the
 * test importer.
 */

#define _GNU_SOURCE
#include <inttypes.h>
#include <stdbool.h>
#include <linux/types.h>

#include "guest_test.h"
#include "kselftest_harness.h"

#define SIZE		MIB
#define BIDIRECTIONAL	0

FIXTURE(import) {
	int heap, fd, importer, snooping;
	long used;
};

FIXTURE_VARIANT(import) {
	const char *heap;
	bool cached;
};

FIXTURE_VARIANT_ADD(import, cached) { .heap = "rcar", .cached = true };
FIXTURE_VARIANT_ADD(import, uncached) { .heap = "rcar-uncached" };

FIXTURE_SETUP(import)
{
	self->heap = heap_open_named(variant->heap);
	ASSERT_GE(self->heap, 0);
	self->used = cma_pages("used");
	ASSERT_GE(self->used, 0);
	self->fd = heap_alloc(self->heap, SIZE);
	ASSERT_GE(self->fd, 0);
	self->importer = importer_open();
	ASSERT_GE(self->importer, 0);
	self->snooping = importer_open();
	ASSERT_GE(self->snooping, 0);
	ASSERT_EQ(0, ioctl(self->snooping, TEST_IMPORTER_SET_COHERENT, 1));
	/* Whoever only attaches is served. */
	ASSERT_EQ(0, ioctl(self->importer, TEST_IMPORTER_ATTACH, self->fd));
	ASSERT_EQ(0, ioctl(self->snooping, TEST_IMPORTER_ATTACH, self->fd));
}

FIXTURE_TEARDOWN(import)
{
	close(self->snooping);
	close(self->importer);
	close(self->fd);
	close(self->heap);
	EXPECT_EQ(self->used, cma_pages("used"));
}

/* Refused where it would read what the linear map left in a cache. */
TEST_F(import, snooping)
{
	int ret = ioctl(self->snooping, TEST_IMPORTER_MAP, BIDIRECTIONAL);

	if (!variant->cached) {
		EXPECT_EQ(-1, ret);
		EXPECT_EQ(EOPNOTSUPP, errno);
	} else {
		EXPECT_EQ(0, ret);
		EXPECT_EQ(0, operations_of_access(self->fd));
	}
	/* Not for ever, and no reason to refuse others. */
	EXPECT_EQ(0, ioctl(self->importer, TEST_IMPORTER_MAP, BIDIRECTIONAL));
	EXPECT_EQ(variant->cached ? 2 : 0, operations_of_access(self->fd));
	ASSERT_EQ(0, ioctl(self->importer, TEST_IMPORTER_UNMAP));
	EXPECT_EQ(0, operations_of_access(self->fd));
}

/*
 * The line of the kernel's page table that holds an address: 1 if it says so,
 * 0 if it does not, -1 if there is no such line.
 */
static int kernel_mapping_is(uint64_t address, const char *type)
{
	FILE *table = fopen("/sys/kernel/debug/kernel_page_tables", "re");
	uint64_t start, end;
	char line[256];
	int is = -1;

	if (!table)
		return -1;
	while (is < 0 && fgets(line, sizeof(line), table)) {
		line[strcspn(line, "\n")] = ' ';
		if (sscanf(line, "0x%" SCNx64 "-0x%" SCNx64, &start, &end) == 2 &&
		    start <= address && address < end)
			is = !!strstr(line, type);
	}
	fclose(table);
	return is;
}

/* The linear map's type may be that of tagged memory, which is Normal as well. */
TEST_F(import, kernel_memory_type)
{
	uint64_t address;

	ASSERT_EQ(0, ioctl(self->importer, TEST_IMPORTER_VMAP, &address));
	EXPECT_EQ(1, kernel_mapping_is(address, " MEM/NORMAL"));
	EXPECT_EQ(!variant->cached, kernel_mapping_is(address, " MEM/NORMAL-NC "));
	EXPECT_EQ(!variant->cached, kernel_mapping_is(address + SIZE - 1, " MEM/NORMAL-NC "));
	EXPECT_EQ(0, ioctl(self->importer, TEST_IMPORTER_VUNMAP));
}

/* An importer that went away with its buffer mapped leaves nothing behind. */
TEST_F(import, closed_while_mapped)
{
	EXPECT_EQ(0, ioctl(self->importer, TEST_IMPORTER_MAP, BIDIRECTIONAL));
	close(self->importer);
	self->importer = -1;
	EXPECT_EQ(0, operations_of_access(self->fd));
}

/* Each call stands for itself, whatever came before it. */
TEST_F(import, unbalanced)
{
	static const uint64_t flags[] = {
		DMA_BUF_SYNC_END, DMA_BUF_SYNC_START, DMA_BUF_SYNC_START,
		DMA_BUF_SYNC_END, DMA_BUF_SYNC_END, DMA_BUF_SYNC_START,
	};
	const int n = sizeof(flags) / sizeof(flags[0]);

	ASSERT_EQ(0, ioctl(self->importer, TEST_IMPORTER_MAP, BIDIRECTIONAL));
	ASSERT_EQ(0, operations_start());
	for (int i = 0; i < n; i++)
		EXPECT_EQ(0, sync_buffer(self->fd, flags[i] | DMA_BUF_SYNC_RW));
	EXPECT_EQ(variant->cached ? n : 0, operations_stop());
}

/* Refused before anything is done. */
TEST_F(import, bad_flags)
{
	static const uint64_t flags[] = {
		0, DMA_BUF_SYNC_END, 8 | DMA_BUF_SYNC_RW, ~0ULL,
		DMA_BUF_SYNC_RW | 1ULL << 32,
	};

	ASSERT_EQ(0, ioctl(self->importer, TEST_IMPORTER_MAP, BIDIRECTIONAL));
	ASSERT_EQ(0, operations_start());
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		EXPECT_EQ(-1, sync_buffer(self->fd, flags[i]));
		EXPECT_EQ(EINVAL, errno);
	}
	EXPECT_EQ(0, operations_stop());
}

/* Importers take nothing of the heap. */
TEST_F(import, when_full)
{
	int fds[512], n = 0;

	for (size_t len = 16 * MIB; len; len = len > PAGE ? len / 2 & -PAGE : 0)
		while (n < 512 && (fds[n] = heap_alloc(self->heap, len)) >= 0)
			n++;
	EXPECT_LT(n, 512);
	EXPECT_EQ(ENOMEM, errno);
	EXPECT_EQ(-1, heap_alloc(self->heap, PAGE));
	EXPECT_EQ(0, ioctl(self->importer, TEST_IMPORTER_DETACH));
	EXPECT_EQ(0, ioctl(self->importer, TEST_IMPORTER_ATTACH, self->fd));
	EXPECT_EQ(0, ioctl(self->importer, TEST_IMPORTER_MAP, BIDIRECTIONAL));
	EXPECT_EQ(0, ioctl(self->importer, TEST_IMPORTER_UNMAP));
	while (n-- > 0)
		close(fds[n]);
}

TEST_HARNESS_MAIN
