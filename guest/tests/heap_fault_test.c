// SPDX-License-Identifier: GPL-2.0
/*
 * Each step of an operation without memory for it: the kernel's fault injection
 * has the nth allocation of this thread fail, for n from 1 on. For a kernel with
 * CONFIG_FAILSLAB.
 */

#define _GNU_SOURCE
#include <stdbool.h>
#include <sys/mman.h>
#include <linux/types.h>

#include "guest_test.h"
#include "kselftest_harness.h"

#define SIZE		(64 * KIB)
#define STEPS_MAX	200
#define BIDIRECTIONAL	0
#define FAILSLAB	"/sys/kernel/debug/failslab/"

FIXTURE(fault) {
	int heap, fd, importer, nth;
	int more;	/* another buffer */
	void *mem;
	long used;
};

FIXTURE_VARIANT(fault) {
	const char *heap;
};

FIXTURE_VARIANT_ADD(fault, cached) { .heap = "rcar" };
FIXTURE_VARIANT_ADD(fault, uncached) { .heap = "rcar-uncached" };

FIXTURE_SETUP(fault)
{
	/* Ordinary allocations as well, and without a stack dump for each. */
	ASSERT_EQ(0, write_file(FAILSLAB "ignore-gfp-wait", "N"));
	ASSERT_EQ(0, write_file(FAILSLAB "verbose", "0"));
	self->nth = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	ASSERT_GE(self->nth, 0);
	self->heap = heap_open_named(variant->heap);
	ASSERT_GE(self->heap, 0);
	self->used = cma_pages("used");
	ASSERT_GE(self->used, 0);
	self->fd = heap_alloc(self->heap, SIZE);
	ASSERT_GE(self->fd, 0);
	self->importer = importer_open();
	ASSERT_GE(self->importer, 0);
}

FIXTURE_TEARDOWN(fault)
{
	close(self->importer);
	close(self->fd);
	close(self->heap);
	close(self->nth);
	EXPECT_EQ(self->used, cma_pages("used"));
}

struct operation {
	int (*try)(FIXTURE_DATA(fault) *self);		/* 0, or -1 with errno */
	void (*undo)(FIXTURE_DATA(fault) *self);	/* what a success leaves */
};

/*
 * Returns in how many steps memory was missing and the operation failed for it;
 * -1 if it failed otherwise or memory of the heap was lost.
 */
static int fail_each_step(FIXTURE_DATA(fault) *self, const struct operation *o)
{
	long used = cma_pages("used");
	char text[16] = "";
	int n, failed = 0;

	for (n = 1; n < STEPS_MAX; n++) {
		int len = snprintf(text, sizeof(text), "%d", n), ret, error;

		if (pwrite(self->nth, text, len, 0) != len)
			return -1;
		ret = o->try(self);
		error = errno;
		len = pread(self->nth, text, sizeof(text) - 1, 0);
		if (len <= 0 || pwrite(self->nth, "0", 1, 0) != 1)
			return -1;
		text[len] = 0;
		if (!ret)
			o->undo(self);
		else if (error != ENOMEM)
			return -1;
		else
			failed++;
		if (cma_pages("used") != used)
			return -1;
		/* Fewer allocations than that: nothing failed, and nothing will. */
		if (atoi(text))
			return ret ? -1 : failed;
	}
	return -1;
}

static int try_allocate(FIXTURE_DATA(fault) *self)
{
	self->more = heap_alloc(self->heap, SIZE);
	return self->more < 0 ? -1 : 0;
}

static void undo_allocate(FIXTURE_DATA(fault) *self)
{
	close(self->more);
}

/* The buffer, and more than one thing of the dma-buf and its file. */
TEST_F(fault, allocate)
{
	const struct operation o = { try_allocate, undo_allocate };

	EXPECT_GE(fail_each_step(self, &o), 3);
}

static int try_attach(FIXTURE_DATA(fault) *self)
{
	return ioctl(self->importer, TEST_IMPORTER_ATTACH, self->fd);
}

static void undo_attach(FIXTURE_DATA(fault) *self)
{
	ioctl(self->importer, TEST_IMPORTER_DETACH);
}

/* What the core has of an attachment, and what the heap has. */
TEST_F(fault, attach)
{
	const struct operation o = { try_attach, undo_attach };

	EXPECT_GE(fail_each_step(self, &o), 2);
}

static int try_map(FIXTURE_DATA(fault) *self)
{
	return ioctl(self->importer, TEST_IMPORTER_MAP, BIDIRECTIONAL);
}

static void undo_map(FIXTURE_DATA(fault) *self)
{
	ioctl(self->importer, TEST_IMPORTER_UNMAP);
}

TEST_F(fault, map)
{
	const struct operation o = { try_map, undo_map };

	ASSERT_EQ(0, try_attach(self));
	EXPECT_GE(fail_each_step(self, &o), 0);
	EXPECT_EQ(0, operations_of_access(self->fd));
}

static int try_vmap(FIXTURE_DATA(fault) *self)
{
	uint64_t address;

	return ioctl(self->importer, TEST_IMPORTER_VMAP, &address);
}

static void undo_vmap(FIXTURE_DATA(fault) *self)
{
	ioctl(self->importer, TEST_IMPORTER_VUNMAP);
}

/* The linear map serves the cached heap, and needs nothing. */
TEST_F(fault, vmap)
{
	const struct operation o = { try_vmap, undo_vmap };
	bool cached = !strcmp(variant->heap, "rcar");

	ASSERT_EQ(0, try_attach(self));
	EXPECT_GE(fail_each_step(self, &o), cached ? 0 : 2);
}

static int try_mmap(FIXTURE_DATA(fault) *self)
{
	self->mem = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, self->fd, 0);
	return self->mem == MAP_FAILED ? -1 : 0;
}

static void undo_mmap(FIXTURE_DATA(fault) *self)
{
	munmap(self->mem, SIZE);
}

TEST_F(fault, mmap)
{
	const struct operation o = { try_mmap, undo_mmap };

	EXPECT_GE(fail_each_step(self, &o), 1);
}

TEST_HARNESS_MAIN
