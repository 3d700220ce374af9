// SPDX-License-Identifier: GPL-2.0
/*
 * An importer that reaches 30 bits and regions beyond: the kernel's CMA heap has
 * its buffers bounced, without a word to anyone; ours refuses the importer. For
 * the guest of guest/bounce.dtso.
 */

#define _GNU_SOURCE
#include <stdbool.h>
#include <linux/types.h>

#include "guest_test.h"
#include "kselftest_harness.h"

#define SIZE		(64 * KIB)
#define SLOT		(2 * KIB)	/* what bounce buffers are made of */
#define BIDIRECTIONAL	0

static long bounced_slots(void)
{
	return read_number("/sys/kernel/debug/swiotlb/io_tlb_used");
}

FIXTURE(bounce) {
	int heap, fd, importer;
	long slots;
};

FIXTURE_VARIANT(bounce) {
	const char *heap;
	bool refused;
};

FIXTURE_VARIANT_ADD(bounce, rcar) { .heap = "rcar", .refused = true };
FIXTURE_VARIANT_ADD(bounce, rcar_uncached) { .heap = "rcar-uncached", .refused = true };
FIXTURE_VARIANT_ADD(bounce, plain) { .heap = "plain" };

FIXTURE_SETUP(bounce)
{
	self->heap = heap_open_named(variant->heap);
	ASSERT_GE(self->heap, 0);
	self->fd = heap_alloc(self->heap, SIZE);
	ASSERT_GE(self->fd, 0);
	self->importer = importer_open();
	ASSERT_GE(self->importer, 0);
	ASSERT_EQ(0, ioctl(self->importer, TEST_IMPORTER_ATTACH, self->fd));
	self->slots = bounced_slots();
	ASSERT_GE(self->slots, 0);
}

FIXTURE_TEARDOWN(bounce)
{
	close(self->importer);
	close(self->fd);
	close(self->heap);
}

TEST_F(bounce, mask_of_30_bits)
{
	int ret;

	ASSERT_EQ(0, ioctl(self->importer, TEST_IMPORTER_SET_MASK, 30));
	ret = ioctl(self->importer, TEST_IMPORTER_MAP, BIDIRECTIONAL);

	if (variant->refused) {
		EXPECT_EQ(-1, ret);
		EXPECT_EQ(EOPNOTSUPP, errno);
		EXPECT_EQ(self->slots, bounced_slots());
	} else {
		EXPECT_EQ(0, ret);
		EXPECT_EQ(self->slots + (long)(SIZE / SLOT), bounced_slots());
		EXPECT_EQ(0, ioctl(self->importer, TEST_IMPORTER_UNMAP));
		EXPECT_EQ(self->slots, bounced_slots());
	}
}

/* It is the mask: nothing else keeps the importer from any of the heaps. */
TEST_F(bounce, mask_of_32_bits)
{
	ASSERT_EQ(0, ioctl(self->importer, TEST_IMPORTER_SET_MASK, 32));
	EXPECT_EQ(0, ioctl(self->importer, TEST_IMPORTER_MAP, BIDIRECTIONAL));
	EXPECT_EQ(self->slots, bounced_slots());
}

TEST_HARNESS_MAIN
