// SPDX-License-Identifier: GPL-2.0
/*
 * What heaps of Renesas R-Car media memory promise beyond what any heap does, see
 * Documentation/userspace-api/dma-buf-heaps.rst. The tests run over the heaps of
 * all regions in the device tree; -v selects one.
 *
 * Each test leaves as much of the region free as it has found. Nobody else should
 * allocate from it meanwhile.
 */

#include "kselftest_harness.h"
#include "heap_util.h"

#define REGIONS		"/sys/firmware/devicetree/base/reserved-memory"
#define COMPATIBLE	"renesas,rcar-media-memory"
#define UNCACHED	"-uncached"
#define MOST_REGIONS	16
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
};

FIXTURE_VARIANT(rcar) {
	const char *name;
	const char *twin;	/* of the other heap of the region */
	const char *area;	/* the region's CMA area, which is named as its node */
};

static long area_pages(const char *area, const char *what)
{
	char path[NAME_MAX + 64], text[32];

	snprintf(path, sizeof(path), "/sys/kernel/mm/cma/%s/%s", area, what);
	if (read_text(path, text, sizeof(text)))
		return -1;

	return atol(text);
}

FIXTURE_SETUP(rcar)
{
	self->heap = heap_open(variant->name);
	if (self->heap < 0 && (errno == EACCES || errno == EPERM))
		SKIP(return, NO_PRIVILEGE);
	ASSERT_GE(self->heap, 0);
	self->twin = heap_open(variant->twin);

	self->free = area_pages(variant->area, "available_pages");
	if (self->free < 0)
		SKIP(return, "no CMA area %s in sysfs", variant->area);
	self->page = page_size();
	self->size = area_pages(variant->area, "total_pages") * self->page;
	self->all_free = self->free * self->page == self->size;
	self->importer = importer_open();
	self->fds = count_fds();
	ASSERT_GT(self->fds, 0);
}

FIXTURE_TEARDOWN(rcar)
{
	trace_stop();
	EXPECT_EQ(self->fds, count_fds());
	EXPECT_EQ(self->free, area_pages(variant->area, "available_pages"));
}

/* Pages that are in use since the start of the test. */
#define USED	(self->free - area_pages(variant->area, "available_pages"))
#define EXPECT_USED(pages)	EXPECT_EQ((long)(pages), USED)
#define ASSERT_USED(pages)	ASSERT_EQ((long)(pages), USED)

/* What keeps tests of the whole region from being possible. */
#define OTHERS		"others have memory of the region"

/*
 * Take memory that is free, but for pages that others have there for the time being.
 * One that is in use at the very moment cannot be moved.
 */
static int alloc_free_memory(int heap, size_t len)
{
	int tries, fd;

	for (tries = 0; tries < 100; tries++) {
		fd = heap_alloc(heap, len);
		if (fd >= 0 || errno != ENOMEM)
			break;
		usleep(10000);
	}

	return fd;
}

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
		/* As many as there is room for. */
		fd = alloc_free_memory(self->heap, sizes[n]);
		if (fd < 0 && errno == ENOMEM &&
		    (self->size < 64 * MIB || !self->all_free))
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
	EXPECT_GT(n, 1UL);
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
	fd = alloc_free_memory(self->heap, self->size);
	ASSERT_GE(fd, 0);
	EXPECT_USED(self->size / self->page);
	EXPECT_FAILS(ENOMEM, heap_alloc(self->heap, self->page));
	if (self->twin >= 0) {
		EXPECT_FAILS(ENOMEM, heap_alloc(self->twin, self->page));
		EXPECT_FAILS(ENOMEM, heap_alloc(self->twin, self->size));
	}
	close(fd);
	EXPECT_USED(0);
}

/* Buffers of 2 MiB fill it without a gap, and any of them can be replaced. */
TEST_F_TIMEOUT(rcar, full_of_buffers, 120)
{
	const size_t each = self->size / 64 / (2 * MIB) * (2 * MIB) ?: 2 * MIB;
	const int max = self->size / each;
	int fds[max], n, twin;

	if (!self->all_free)
		SKIP(return, OTHERS);
	for (n = 0; n < max; n++) {
		fds[n] = alloc_free_memory(self->heap, each);
		ASSERT_GE(fds[n], 0) {
			TH_LOG("buffer %d of %d: %s", n, max, strerror(errno));
		}
	}
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
		fd = alloc_free_memory(heaps[round % 2], size);
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
	const size_t size = heap_largest(self->heap, self->size / 2);
	int killed;

	ASSERT_GT(size, 0UL);
	killed = heap_kill_many(self->heap, size, KILLS);
	TH_LOG("%d of %d were killed while they allocated %zu KiB", killed,
	       KILLS, size / KIB);
	ASSERT_GE(killed, 0);
	ASSERT_USED(0);
	if (killed < KILLS / 4)
		SKIP(return, "only %d of %d were killed in time", killed, KILLS);
}

static int is_region(const struct dirent *entry)
{
	char path[sizeof(REGIONS) + NAME_MAX + 16], compatible[64] = "";

	snprintf(path, sizeof(path), "%s/%s/compatible", REGIONS, entry->d_name);

	return !read_text(path, compatible, sizeof(compatible)) &&
	       !strcmp(compatible, COMPATIBLE);
}

/*
 * The heap of a node has its name without the unit address. Where that is taken it
 * has the whole, and where several nodes share it, it is not for us to see whose the
 * heap of the short name is.
 */
static bool name_heap(char *name, struct dirent **regions, int n, int nth)
{
	const char *node = regions[nth]->d_name;
	const size_t len = strcspn(node, "@");
	int i, same = 0;

	snprintf(name, NAME_MAX + 1, "%s", node);
	if (heap_exists(name))
		return true;

	for (i = 0; i < n; i++)
		same += strcspn(regions[i]->d_name, "@") == len &&
			!strncmp(regions[i]->d_name, node, len);
	name[len] = 0;

	return same == 1 && heap_exists(name);
}

int main(int argc, char **argv)
{
	static FIXTURE_VARIANT(rcar) variants[2 * MOST_REGIONS];
	struct dirent **regions;
	int i, n, heaps = 0;

	n = scandir(REGIONS, &regions, is_region, alphasort);
	if (n > MOST_REGIONS)
		ksft_exit_fail_msg("%d regions are more than %d\n", n, MOST_REGIONS);
	for (i = 0; i < n; i++) {
		char name[NAME_MAX + 1], uncached[NAME_MAX + 1];

		if (!name_heap(name, regions, n, i))
			continue;
		snprintf(uncached, sizeof(uncached), "%.200s" UNCACHED, name);
		variants[heaps].name = strdup(name);
		variants[heaps].twin = strdup(uncached);
		variants[heaps++].area = regions[i]->d_name;
		if (!heap_exists(uncached))
			continue;
		variants[heaps].name = variants[heaps - 1].twin;
		variants[heaps].twin = variants[heaps - 1].name;
		variants[heaps++].area = regions[i]->d_name;
	}
	if (!heaps) {
		ksft_print_header();
		ksft_exit_skip("no heap of a region " COMPATIBLE "\n");
	}
	for (i = 0; i < heaps; i++)
		HEAP_VARIANT_ADD(rcar, variants[i].name, &variants[i]);

	return test_harness_run(argc, argv);
}
