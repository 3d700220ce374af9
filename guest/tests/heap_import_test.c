// SPDX-License-Identifier: GPL-2.0
/*
 * Importers of either heap that snoop CPU caches, and such that do not, by the
 * test importer.
 */

#define _GNU_SOURCE
#include <stdbool.h>
#include <linux/types.h>

#include "guest_test.h"
#include "kselftest_harness.h"

#define SIZE		MIB
#define BIDIRECTIONAL	0

static const char *const events[] = {
	"dma/dma_sync_single_for_cpu", "dma/dma_sync_single_for_device", NULL,
};

/* Cache operations of a CPU access, or -1. */
static int operations_of_access(int fd)
{
	char *text, *at;
	int n = 0;

	if (trace_start(events) ||
	    sync_buffer(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW) ||
	    sync_buffer(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW))
		return -1;
	text = trace_stop();
	if (!text)
		return -1;
	for (at = text; (at = strstr(at, ": dma_sync_single_for_")); at++)
		n++;
	free(text);
	return n;
}

FIXTURE(import) {
	int heap, fd, importer, snooping;
};

FIXTURE_VARIANT(import) {
	const char *heap;
	bool cached;
};

FIXTURE_VARIANT_ADD(import, cached) { .heap = "rcar", .cached = true };
FIXTURE_VARIANT_ADD(import, uncached) { .heap = "rcar-uncached" };

FIXTURE_SETUP(import)
{
	setenv("HEAP", variant->heap, 1);
	self->heap = heap_open();
	ASSERT_GE(self->heap, 0);
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

/* An importer that went away with its buffer mapped leaves nothing behind. */
TEST_F(import, closed_while_mapped)
{
	EXPECT_EQ(0, ioctl(self->importer, TEST_IMPORTER_MAP, BIDIRECTIONAL));
	close(self->importer);
	EXPECT_EQ(0, operations_of_access(self->fd));
}

TEST_HARNESS_MAIN
