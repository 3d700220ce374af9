// SPDX-License-Identifier: GPL-2.0
/*
 * A device that names the region of the heap in its "memory-region" property, and
 * shares it with the heap's buffers: test_user of guest/modules.
 */

#define _GNU_SOURCE
#include <linux/types.h>

#include "guest_test.h"
#include "kselftest_harness.h"

#define DEVICE		"/sys/bus/platform/devices/test-user/"
#define BUFFER_PAGES	(MIB / PAGE)

FIXTURE(user) {
	int heap;
	long used;
};

FIXTURE_SETUP(user)
{
	self->heap = heap_open();
	ASSERT_GE(self->heap, 0);
	if (access(DEVICE "region", F_OK))
		ASSERT_EQ(0, module_load("test_user"));
	self->used = cma_pages("used");
	ASSERT_GE(self->used, 0);
}

FIXTURE_TEARDOWN(user)
{
	close(self->heap);
	EXPECT_EQ(self->used, cma_pages("used"));
}

#define SET(attribute, text)	EXPECT_EQ(0, write_file(DEVICE attribute, text))
#define EXPECT_USED(pages)	EXPECT_EQ(self->used + (long)(pages), cma_pages("used"))

/* Its buffers are from the region as long as it has that, and beside others. */
TEST_F(user, allocates_from_region)
{
	int fd;

	SET("region", "1");
	SET("buffer", "1");
	EXPECT_USED(BUFFER_PAGES);
	fd = heap_alloc(self->heap, MIB);
	EXPECT_GE(fd, 0);
	EXPECT_USED(2 * BUFFER_PAGES);
	SET("buffer", "0");
	EXPECT_USED(BUFFER_PAGES);
	close(fd);
	SET("region", "0");
}

/* A page of it takes no more than that, though buffers are given out in fours. */
TEST_F(user, region_of_single_pages)
{
	EXPECT_EQ(0, cma_pages("order_per_bit"));
}

TEST_F(user, without_region)
{
	SET("buffer", "1");
	EXPECT_USED(0);
	SET("buffer", "0");
}

/* It has the region no more, and what it allocates comes from elsewhere. */
TEST_F(user, released)
{
	SET("region", "1");
	SET("region", "0");
	SET("buffer", "1");
	EXPECT_USED(0);
	SET("buffer", "0");
}

/* What the device holds is not there for the heap, which stays usable. */
TEST_F(user, takes_from_heap)
{
	long count = cma_pages("count");
	int fd;

	SET("region", "1");
	SET("buffer", "1");
	EXPECT_EQ(-1, heap_alloc(self->heap, count * PAGE));
	EXPECT_EQ(ENOMEM, errno);
	SET("buffer", "0");
	fd = heap_alloc(self->heap, count * PAGE);
	EXPECT_GE(fd, 0);
	close(fd);
	SET("region", "0");
}

TEST_HARNESS_MAIN
