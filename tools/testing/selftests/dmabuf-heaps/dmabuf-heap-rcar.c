// SPDX-License-Identifier: GPL-2.0
/*
 * What heaps of Renesas R-Car media memory promise beyond what any heap does, see
 * Documentation/userspace-api/dma-buf-heaps.rst. The environment variable HEAP
 * names one of them; without it the tests run over "rcar" and "rcar-uncached".
 *
 * Each test leaves as much of the region free as it has found.
 */

#include "heap_util.h"

#define UNCACHED	"-uncached"
#define KILLS		20

FIXTURE(rcar) {
	int heap;
	int twin;	/* the other heap of the region, -1 if there is none */
	int importer;
	int fds;
	size_t page;
	size_t size;	/* of the region */
	long free;	/* pages of it at the start */
	bool all_free;	/* none of it is in use then */
	char area[128];	/* folder of its CMA area */
};

FIXTURE_VARIANT(rcar) {
	char name[NAME_MAX + 1];
};

static long area_pages(const char *area, const char *what)
{
	char path[256], text[32];

	snprintf(path, sizeof(path), "%s/%s", area, what);
	if (read_text(path, text, sizeof(text)))
		return -1;

	return atol(text);
}

/*
 * The area is named as the region's node in the device tree, with the unit
 * address that the heap's name leaves out.
 */
static bool find_area(const char *region, char *area, size_t room)
{
	const char *areas = "/sys/kernel/mm/cma";
	const size_t len = strlen(region);
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	dir = opendir(areas);
	if (!dir)
		return false;
	while (!found && (entry = readdir(dir))) {
		found = !strncmp(entry->d_name, region, len) &&
			(!entry->d_name[len] || entry->d_name[len] == '@');
		if (found)
			snprintf(area, room, "%s/%.64s", areas, entry->d_name);
	}
	closedir(dir);

	return found;
}

FIXTURE_SETUP(rcar)
{
	char name[NAME_MAX + sizeof(UNCACHED)], *suffix;

	self->heap = heap_open(variant->name);
	if (self->heap < 0 && errno == ENOENT)
		SKIP(return, "no heap %s", variant->name);
	ASSERT_GE(self->heap, 0);

	snprintf(name, sizeof(name), "%s", variant->name);
	suffix = strstr(name, UNCACHED);
	if (suffix)
		*suffix = 0;
	if (!find_area(name, self->area, sizeof(self->area)))
		SKIP(return, "no CMA area %s in sysfs", name);
	if (!suffix)
		strcat(name, UNCACHED);
	self->twin = heap_open(name);

	self->page = page_size();
	self->size = area_pages(self->area, "total_pages") * self->page;
	self->free = area_pages(self->area, "available_pages");
	ASSERT_GE(self->free, 0);
	self->all_free = self->free * self->page == self->size;
	self->importer = importer_open();
	self->fds = count_fds();
	ASSERT_GT(self->size, 16 * MIB);
}

FIXTURE_TEARDOWN(rcar)
{
	trace_stop();
	EXPECT_EQ(self->fds, count_fds());
	EXPECT_EQ(self->free, area_pages(self->area, "available_pages"));
}

#define EXPECT_FAILS(error, call)	EXPECT_EQ(error, (call) == -1 ? errno : 0)

/* Pages that are in use since the start of the test. */
#define EXPECT_USED(pages)						\
	EXPECT_EQ((long)(pages),					\
		  self->free - area_pages(self->area, "available_pages"))

/* What keeps tests of the whole region from being possible. */
#define OTHERS		"others have memory of the region"

static __u64 wanted_alignment(size_t size)
{
	const size_t rounded = (size + 2 * MIB - 1) / (2 * MIB) * 2 * MIB;

	return rounded - size <= size / 8 ? 2 * MIB : 16 * KIB;
}

/*
 * One entry for each importer, aligned by the size of the buffer, in reach of
 * 32 bits. Sizes are those of frames and such on either side of a limit.
 */
TEST_F_TIMEOUT(rcar, contiguous_and_aligned, 120)
{
	static const size_t sizes[] = {
		1,
		64 * KIB,
		320 * 240 * 3 / 2,
		1280 * 720 * 3 / 2,
		455 * 4 * KIB,		/* just over 1/8 lost on 2 MiB */
		456 * 4 * KIB,		/* just under */
		2 * MIB,
		2 * MIB + 1,
		1920 * 1088 * 3 / 2,
		3840 * 2160 * 3 / 2,
		3840 * 2160 * 2,
		16 * MIB,
	};
	struct mapping mapping;
	int first, fd, fds[ARRAY_SIZE(sizes)];
	size_t i, n, size;

	if (self->importer < 0)
		SKIP(return, NO_IMPORTER);
	if (trace_start())
		SKIP(return, NO_TRACE);

	/* At the start of the region any alignment would be given. */
	first = heap_alloc(self->heap, self->page);
	ASSERT_GE(first, 0);
	for (n = 0; n < ARRAY_SIZE(sizes); n++) {
		/* In a small region, as many as there is room for. */
		fd = heap_alloc(self->heap, sizes[n]);
		if (fd < 0 && errno == ENOMEM && self->size < 64 * MIB)
			break;
		ASSERT_GE(fd, 0);
		size = lseek(fd, 0, SEEK_END);
		fds[n] = fd;
		ASSERT_EQ(0, trace_mapping(self->importer, fd, &mapping)) {
			TH_LOG("%zu bytes: %s", size, strerror(errno));
		}
		EXPECT_EQ(1U, mapping.entries);
		EXPECT_EQ(size, mapping.size);
		EXPECT_EQ(0ULL, mapping.start % wanted_alignment(size)) {
			TH_LOG("%zu bytes at %#llx", size, mapping.start);
		}
		EXPECT_LE(mapping.start + mapping.size, 1ULL << 32);
	}
	for (i = 0; i < n; i++)
		close(fds[i]);
	close(first);
}

TEST_F(rcar, mmap_private)
{
	const int prot[] = { PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE };
	size_t i;
	int fd;

	fd = heap_alloc(self->heap, self->page);
	ASSERT_GE(fd, 0);
	for (i = 0; i < ARRAY_SIZE(prot); i++) {
		EXPECT_EQ(MAP_FAILED, mmap(NULL, self->page, prot[i], MAP_PRIVATE,
					   fd, 0));
		EXPECT_EQ(EINVAL, errno);
	}
	close(fd);
}

TEST_F(rcar, larger_than_region)
{
	EXPECT_FAILS(ENOMEM, heap_alloc(self->heap, self->size + 1));
	EXPECT_FAILS(ENOMEM, heap_alloc(self->heap, self->size * 2));
	EXPECT_FAILS(ENOMEM, heap_alloc(self->heap, -2 * self->page));
}

/* What a buffer takes of the region is its size in pages. */
TEST_F(rcar, pages_of_a_buffer)
{
	const size_t sizes[] = {
		1, self->page, self->page + 1, 3 * self->page, 2 * MIB,
		2 * MIB + self->page,
	};
	size_t i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		fd = heap_alloc(self->heap, sizes[i]);
		ASSERT_GE(fd, 0);
		EXPECT_USED((sizes[i] + self->page - 1) / self->page);
		close(fd);
		EXPECT_USED(0);
	}
}

/* A descriptor, a copy of it, and a mapping each keep the memory. */
TEST_F(rcar, last_user)
{
	int fd, copy;
	void *mem;

	fd = heap_alloc(self->heap, MIB);
	ASSERT_GE(fd, 0);
	copy = dup(fd);
	ASSERT_GE(copy, 0);
	close(fd);
	EXPECT_USED(MIB / self->page);
	mem = buffer_map(copy, MIB, 0);
	ASSERT_NE(MAP_FAILED, mem);
	close(copy);
	EXPECT_USED(MIB / self->page);
	EXPECT_TRUE(all_zero(mem, MIB));
	munmap(mem, MIB);
	EXPECT_USED(0);
}

/* One buffer of all of it, and then none, from neither heap. */
TEST_F_TIMEOUT(rcar, whole_region, 120)
{
	int fd;

	if (!self->all_free)
		SKIP(return, OTHERS);
	fd = heap_alloc(self->heap, self->size);
	ASSERT_GE(fd, 0);
	EXPECT_USED(self->size / self->page);
	EXPECT_FAILS(ENOMEM, heap_alloc(self->heap, self->page));
	if (self->twin >= 0)
		EXPECT_FAILS(ENOMEM, heap_alloc(self->twin, self->page));
	close(fd);
	EXPECT_USED(0);
}

/* Buffers of 2 MiB fill it without a gap, and any of them can be replaced. */
TEST_F_TIMEOUT(rcar, full_of_buffers, 120)
{
	const size_t each = self->size / 64 / (2 * MIB) * (2 * MIB) ?: 2 * MIB;
	const int max = self->size / each;
	int fds[max + 1], n, twin;

	if (!self->all_free)
		SKIP(return, OTHERS);
	for (n = 0; n <= max; n++) {
		fds[n] = heap_alloc(self->heap, each);
		if (fds[n] < 0)
			break;
	}
	EXPECT_EQ(ENOMEM, errno);
	ASSERT_EQ(max, n);
	EXPECT_USED(max * (each / self->page));
	EXPECT_FAILS(ENOMEM, heap_alloc(self->heap, each));

	close(fds[max / 2]);
	fds[max / 2] = heap_alloc(self->heap, each);
	EXPECT_GE(fds[max / 2], 0);

	if (self->twin >= 0) {
		EXPECT_FAILS(ENOMEM, heap_alloc(self->twin, each));
		close(fds[0]);
		twin = heap_alloc(self->twin, each);
		EXPECT_GE(twin, 0);
		EXPECT_FAILS(ENOMEM, heap_alloc(self->heap, each));
		close(twin);
		fds[0] = heap_alloc(self->heap, each);
		EXPECT_GE(fds[0], 0);
	}

	while (n--)
		close(fds[n]);
	EXPECT_USED(0);
}

/*
 * All of the region is written through one heap and read through the other: what
 * the CPU caches hold of it must not show up in either.
 */
TEST_F_TIMEOUT(rcar, zeroed_for_twin, 120)
{
	const size_t size = self->size;
	int fd, round, heaps[2];
	void *mem;

	if (self->twin < 0)
		SKIP(return, "the region has no second heap");
	if (!self->all_free)
		SKIP(return, OTHERS);
	heaps[0] = self->heap;
	heaps[1] = self->twin;
	for (round = 0; round < 3; round++) {
		fd = heap_alloc(heaps[round % 2], size);
		ASSERT_GE(fd, 0);
		mem = buffer_map(fd, size, 0);
		ASSERT_NE(MAP_FAILED, mem);
		EXPECT_TRUE(all_zero(mem, size)) {
			TH_LOG("round %d", round);
		}
		memset(mem, 0xa5, size);
		munmap(mem, size);
		close(fd);
	}
}

/* Not a page is lost; the fixture's teardown looks once more. */
TEST_F_TIMEOUT(rcar, killed_while_allocating, 300)
{
	int killed;

	killed = heap_kill_many(self->heap, self->size / 2, KILLS);
	TH_LOG("%d of %d were killed while they allocated", killed, KILLS);
	EXPECT_GT(killed, KILLS / 4);
	EXPECT_USED(0);
}

int main(int argc, char **argv)
{
	const char *only = getenv("HEAP");

	if (only) {
		heap_add_run(&_rcar_fixture_object, only);
	} else {
		heap_add_run(&_rcar_fixture_object, "rcar");
		heap_add_run(&_rcar_fixture_object, "rcar" UNCACHED);
	}

	return test_harness_run(argc, argv);
}
