// SPDX-License-Identifier: GPL-2.0
/*
 * What userspace does to mappings of a buffer, with whole PMDs and without: it maps
 * parts, at any address, unmaps, moves and protects parts of them, and forks.
 * After each step all views of the buffer have to agree: the mapping, one of
 * another process, the kernel's, and that of an importer.
 *
 * The same program is compiled for 32 bits.
 */

#define _GNU_SOURCE
#include <pthread.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "guest_test.h"
#include "kselftest_harness.h"

#define PMD		(2 * MIB)
#define PAGES		(PMD / PAGE)
/* A frame of 2160p in NV12: 5 whole PMDs and the most of a sixth. */
#define SIZE		(12441600UL & -PAGE)
/* Where there is room for it at any alignment. */
#define ROOM		(SIZE + 2 * PMD)

/* A process of 32 bits gets what address there is. */
static const bool huge = sizeof(long) == 8;

FIXTURE(map) {
	int heap, fd, importer;
	long used;
	char *room;	/* no memory, to map at addresses in it */
	char *other;	/* the buffer, page by page */
};

static char *map_at(void *addr, int fd, size_t len, off_t offset)
{
	return mmap(addr, len, PROT_READ | PROT_WRITE,
		    MAP_SHARED | (addr ? MAP_FIXED : 0), fd, offset);
}

static long faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt + usage.ru_majflt;
}

/* This many may be for the stack or the code of what is measured. */
#define OTHER_FAULTS	3

/* Each word has a value of its own, that depends on the seed. */
static uint64_t value_of(uint64_t seed, size_t at)
{
	return seed * 0x9e3779b97f4a7c15 + at;
}

/* The first word of each page and its last. */
static void fill(char *mem, size_t len, size_t offset, uint64_t seed)
{
	for (size_t at = 0; at < len; at += PAGE) {
		*(uint64_t *)(mem + at) = value_of(seed, offset + at);
		*(uint64_t *)(mem + at + PAGE - 8) = value_of(seed, offset + at + 1);
	}
}

static bool filled(const char *mem, size_t len, size_t offset, uint64_t seed)
{
	for (size_t at = 0; at < len; at += PAGE)
		if (*(uint64_t *)(mem + at) != value_of(seed, offset + at) ||
		    *(uint64_t *)(mem + at + PAGE - 8) != value_of(seed, offset + at + 1))
			return false;
	return true;
}

/* What the importer sums up, and this. */
static uint64_t sum_of(const char *mem)
{
	const uint64_t *word = (const uint64_t *)mem;
	uint64_t sum = 0;

	for (size_t i = 0; i < SIZE / sizeof(*word); i++)
		sum = sum * 31 + word[i];
	return sum;
}

/* By a process that maps the buffer when the test is over with it. */
static bool filled_for_another(int fd, uint64_t seed)
{
	int status = -1;
	pid_t pid = fork();

	if (!pid) {
		char *mem = map_at(NULL, fd, SIZE, 0);

		_exit(mem == MAP_FAILED || !filled(mem, SIZE, 0, seed));
	}
	waitpid(pid, &status, 0);
	return !status;
}

static bool all_agree(FIXTURE_DATA(map) *self, uint64_t seed)
{
	uint64_t sum = sum_of(self->other), seen[2];

	return filled(self->other, SIZE, 0, seed) &&
	       filled_for_another(self->fd, seed) &&
	       !ioctl(self->importer, TEST_IMPORTER_SUM, seen) &&
	       seen[0] == sum && seen[1] == sum;
}

FIXTURE_SETUP(map)
{
	uint64_t address;

	self->heap = heap_open();
	ASSERT_GE(self->heap, 0);
	self->used = cma_pages("used");
	ASSERT_GE(self->used, 0);
	self->fd = heap_alloc(self->heap, SIZE);
	ASSERT_GE(self->fd, 0);
	self->importer = importer_open();
	ASSERT_GE(self->importer, 0);
	ASSERT_EQ(0, ioctl(self->importer, TEST_IMPORTER_ATTACH, self->fd));
	ASSERT_EQ(0, ioctl(self->importer, TEST_IMPORTER_MAP, 0));
	ASSERT_EQ(0, ioctl(self->importer, TEST_IMPORTER_VMAP, &address));

	self->room = mmap(NULL, ROOM + PMD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	ASSERT_NE(MAP_FAILED, self->room);
	self->room += -(uintptr_t)self->room % PMD;
	/* Nothing is where it would have to be for a PMD. */
	self->other = mmap(NULL, SIZE + PMD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1, 0);
	ASSERT_NE(MAP_FAILED, self->other);
	self->other += -(uintptr_t)self->other % PMD + PAGE;
	ASSERT_EQ(self->other, map_at(self->other, self->fd, SIZE, 0));
}

FIXTURE_TEARDOWN(map)
{
	munmap(self->room, ROOM);
	munmap(self->other, SIZE);
	close(self->importer);
	close(self->fd);
	close(self->heap);
	EXPECT_EQ(self->used, cma_pages("used"));
}

/* A fault for each whole PMD, and none for what is around them or comes later. */
TEST_F(map, faults_of_a_frame)
{
	char *mem = map_at(NULL, self->fd, SIZE, 0);
	long before;

	ASSERT_NE(MAP_FAILED, mem);
	if (huge) {
		EXPECT_EQ(0, (uintptr_t)mem % PMD);
	}
	before = faults();
	fill(mem, SIZE, 0, 1);
	EXPECT_LE(faults() - before, (long)(SIZE / PMD) + OTHER_FAULTS);
	before = faults();
	fill(mem, SIZE, 0, 2);
	EXPECT_EQ(0, faults() - before);
	EXPECT_TRUE(all_agree(self, 2));
	munmap(mem, SIZE);
}

/* Reading first costs one more for each: the CPU here sets no dirty bit. */
TEST_F(map, read_then_write)
{
	char *mem = map_at(NULL, self->fd, SIZE, 0);
	long before = faults();
	volatile char sum = 0;

	ASSERT_NE(MAP_FAILED, mem);
	for (size_t at = 0; at < SIZE; at += PAGE)
		sum += mem[at];
	fill(mem, SIZE, 0, 3);
	EXPECT_LE(faults() - before, 2 * (long)(SIZE / PMD) + OTHER_FAULTS);
	EXPECT_TRUE(all_agree(self, 3));
	munmap(mem, SIZE);
}

/* Where address and buffer disagree, as well as where they agree. */
TEST_F(map, any_address)
{
	static const size_t shifts[] = { 0, 1, 2, 255, 511 };

	for (size_t i = 0; i < ARRAY_SIZE(shifts); i++) {
		char *at = self->room + shifts[i] * PAGE;

		ASSERT_EQ(at, map_at(at, self->fd, SIZE, 0));
		fill(at, SIZE, 0, 10 + i);
		EXPECT_TRUE(all_agree(self, 10 + i)) {
			TH_LOG("shifted by %zu pages", shifts[i]);
		}
	}
}

TEST_F(map, any_part)
{
	static const struct { size_t first, pages; } parts[] = {
		{ 0, 1 }, { 0, PAGES }, { 0, PAGES + 1 }, { 1, PAGES },
		{ 1, 2 * PAGES }, { PAGES - 1, 2 }, { PAGES - 1, PAGES + 2 },
		{ PAGES, PAGES }, { PAGES, 3 * PAGES - 1 }, { 700, 1500 },
		{ 5 * PAGES, SIZE / PAGE - 5 * PAGES },
		{ SIZE / PAGE - 1, 1 },
	};

	fill(self->other, SIZE, 0, 20);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		size_t offset = parts[i].first * PAGE, len = parts[i].pages * PAGE;
		/* Where the mm likes it, and at an address that suits PMDs. */
		for (int round = 0; round < 2; round++) {
			char *want = round ? self->room + offset % PMD : NULL;
			char *mem = map_at(want, self->fd, len, offset);

			ASSERT_NE(MAP_FAILED, mem);
			EXPECT_TRUE(filled(mem, len, offset, 20)) {
				TH_LOG("part %zu", i);
			}
			fill(mem, len, offset, 21);
			EXPECT_TRUE(filled(self->other + offset, len, offset, 21));
			fill(mem, len, offset, 20);
			munmap(mem, len);
		}
	}
	EXPECT_TRUE(all_agree(self, 20));
}

/* A page of each PMD is unmapped: the others keep what they have, and can be written. */
TEST_F(map, page_of_each_pmd_unmapped)
{
	char *mem = map_at(self->room, self->fd, SIZE, 0);
	size_t at;
	long before;

	ASSERT_EQ(self->room, mem);
	fill(mem, SIZE, 0, 30);
	for (at = 0; at + PMD <= SIZE; at += PMD)
		ASSERT_EQ(0, munmap(mem + at + 77 * PAGE, PAGE));
	EXPECT_TRUE(all_agree(self, 30));
	for (at = 0; at + PMD <= SIZE; at += PMD) {
		before = faults();
		EXPECT_TRUE(filled(mem + at, 77 * PAGE, at, 30));
		EXPECT_TRUE(filled(mem + at + 78 * PAGE, (PAGES - 78) * PAGE,
				   at + 78 * PAGE, 30));
		fill(mem + at, 77 * PAGE, at, 31);
		fill(mem + at + 78 * PAGE, (PAGES - 78) * PAGE, at + 78 * PAGE, 31);
		EXPECT_LE(faults() - before, 1024);
		/* What has been unmapped is no longer there. */
		EXPECT_EQ(-1, madvise(mem + at + 77 * PAGE, PAGE, MADV_NORMAL));
		fill(self->other + at + 77 * PAGE, PAGE, at + 77 * PAGE, 31);
	}
	fill(mem + at, SIZE - at, at, 31);
	EXPECT_TRUE(all_agree(self, 31));
}

/* Ends and the middle, on PMDs and between them. */
TEST_F(map, parts_unmapped)
{
	static const struct { size_t first, pages; } holes[] = {
		{ 0, 1 }, { 1, PAGES - 1 }, { PAGES, PAGES }, { 2 * PAGES + 7, PAGES },
		{ 4 * PAGES - 1, 2 }, { SIZE / PAGE - 1, 1 },
	};
	bool gone[SIZE / PAGE] = { };
	char *mem = map_at(self->room, self->fd, SIZE, 0);

	ASSERT_EQ(self->room, mem);
	fill(mem, SIZE, 0, 40);
	for (size_t i = 0; i < ARRAY_SIZE(holes); i++) {
		ASSERT_EQ(0, munmap(mem + holes[i].first * PAGE, holes[i].pages * PAGE));
		memset(gone + holes[i].first, 1, holes[i].pages);
	}
	for (size_t i = 0; i < SIZE / PAGE; i++) {
		size_t at = i * PAGE;

		if (!gone[i]) {
			EXPECT_TRUE(filled(mem + at, PAGE, at, 40));
		}
		fill(gone[i] ? self->other + at : mem + at, PAGE, at, 41);
	}
	EXPECT_TRUE(all_agree(self, 41));
}

/* Something else in the middle, and the buffer there again. */
TEST_F(map, replaced_and_mapped_again)
{
	const size_t at = PMD + 5 * PAGE;
	char *mem = map_at(self->room, self->fd, SIZE, 0);

	ASSERT_EQ(self->room, mem);
	fill(mem, SIZE, 0, 50);
	ASSERT_EQ(mem + at, mmap(mem + at, PMD, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	memset(mem + at, 0x11, PMD);
	EXPECT_TRUE(all_agree(self, 50));
	ASSERT_EQ(mem + at, map_at(mem + at, self->fd, PMD, at));
	EXPECT_TRUE(filled(mem, SIZE, 0, 50));
	fill(mem, SIZE, 0, 51);
	EXPECT_TRUE(all_agree(self, 51));
}

/* To where PMDs fit and to where they do not, whole mappings and parts. */
TEST_F(map, moved)
{
	static const struct { size_t first, pages; } parts[] = {
		{ 0, SIZE / PAGE }, { 0, PAGES }, { PAGES, 2 * PAGES }, { 3, PAGES },
		{ PAGES / 2, PAGES }, { 5 * PAGES, 1 },
	};
	static const size_t shifts[] = { 0, 1, 300 };
	char *target = mmap(NULL, ROOM + PMD, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, target);
	target += -(uintptr_t)target % PMD;
	for (size_t i = 0; i < ARRAY_SIZE(parts) * ARRAY_SIZE(shifts); i++) {
		const size_t offset = parts[i / 3].first * PAGE;
		const size_t len = parts[i / 3].pages * PAGE;
		char *to = target + offset + shifts[i % 3] * PAGE;
		char *mem = map_at(self->room, self->fd, SIZE, 0);

		ASSERT_EQ(self->room, mem);
		fill(mem, SIZE, 0, 60 + i);
		ASSERT_EQ(to, mremap(mem + offset, len, len,
				     MREMAP_MAYMOVE | MREMAP_FIXED, to)) {
			TH_LOG("part %zu: %s", i, strerror(errno));
		}
		EXPECT_TRUE(filled(to, len, offset, 60 + i));
		EXPECT_TRUE(filled(mem, offset, 0, 60 + i));
		EXPECT_TRUE(filled(mem + offset + len, SIZE - offset - len,
				   offset + len, 60 + i));
		fill(to, len, offset, 90 + i);
		fill(mem, offset, 0, 90 + i);
		fill(mem + offset + len, SIZE - offset - len, offset + len, 90 + i);
		EXPECT_TRUE(all_agree(self, 90 + i));
		munmap(to, len);
		munmap(mem, SIZE);
	}
	munmap(target, ROOM);
}

TEST_F(map, resized)
{
	char *mem = map_at(self->room, self->fd, SIZE, 0);

	ASSERT_EQ(self->room, mem);
	fill(mem, SIZE, 0, 120);
	EXPECT_EQ(MAP_FAILED, mremap(mem, SIZE, SIZE + PAGE, MREMAP_MAYMOVE));
	EXPECT_EQ(EFAULT, errno);
	ASSERT_EQ(mem, mremap(mem, SIZE, PMD + 9 * PAGE, 0));
	EXPECT_TRUE(filled(mem, PMD + 9 * PAGE, 0, 120));
	EXPECT_EQ(MAP_FAILED, mremap(mem, PMD + 9 * PAGE, SIZE, MREMAP_MAYMOVE));
	fill(mem, PMD + 9 * PAGE, 0, 121);
	fill(self->other + PMD + 9 * PAGE, SIZE - PMD - 9 * PAGE, PMD + 9 * PAGE, 121);
	EXPECT_TRUE(all_agree(self, 121));
}

/* Each sees what the other one writes, and may unmap what it likes. */
TEST_F(map, fork)
{
	char *mem = map_at(self->room, self->fd, SIZE, 0);
	long before;
	int status;
	pid_t pid;

	ASSERT_EQ(self->room, mem);
	fill(mem, SIZE, 0, 130);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		if (!filled(mem, SIZE, 0, 130))
			_exit(1);
		fill(mem, SIZE, 0, 131);
		_exit(munmap(mem + PMD + PAGE, 3 * PMD) ? 2 : 0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	/* What the child has unmapped is still there. */
	before = faults();
	EXPECT_TRUE(filled(mem, SIZE, 0, 131));
	fill(mem, SIZE, 0, 132);
	EXPECT_LE(faults() - before, 16);
	EXPECT_TRUE(all_agree(self, 132));
}

/* Huge entries stay what they are. */
TEST_F(map, faults_of_a_child)
{
	char *mem = map_at(self->room, self->fd, 4 * PMD, 0);
	int status;
	pid_t pid;

	if (!huge)
		SKIP(return, "a process of 32 bits has no whole PMDs at any address");
	ASSERT_EQ(self->room, mem);
	fill(mem, 4 * PMD, 0, 140);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		long before = faults();

		fill(mem, 4 * PMD, 0, 141);
		/* Of the child itself there are some: its stack, its code. */
		_exit(faults() - before > 16);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_TRUE(filled(self->other, 4 * PMD, 0, 141));
}

static bool dies_by_writing(char *at)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		*(volatile char *)at = 1;
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

/* Protection of the whole, of a PMD, and of a page. */
TEST_F(map, protected)
{
	static const struct { size_t first, pages; } parts[] = {
		{ 0, SIZE / PAGE }, { PAGES, PAGES }, { 3 * PAGES + 9, 1 },
		{ SIZE / PAGE - 1, 1 },
	};
	char *mem = map_at(self->room, self->fd, SIZE, 0);

	ASSERT_EQ(self->room, mem);
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		char *at = mem + parts[i].first * PAGE;
		const size_t len = parts[i].pages * PAGE;

		fill(mem, SIZE, 0, 150 + i);
		ASSERT_EQ(0, mprotect(at, len, PROT_READ));
		EXPECT_TRUE(filled(mem, SIZE, 0, 150 + i));
		EXPECT_TRUE(dies_by_writing(at));
		EXPECT_TRUE(dies_by_writing(at + len - 1));
		ASSERT_EQ(0, mprotect(at, len, PROT_NONE));
		EXPECT_TRUE(dies_by_writing(at + len / 2));
		ASSERT_EQ(0, mprotect(at, len, PROT_READ | PROT_WRITE));
		EXPECT_TRUE(filled(mem, SIZE, 0, 150 + i));
		fill(mem, SIZE, 0, 160 + i);
		EXPECT_TRUE(all_agree(self, 160 + i));
	}
}

TEST_F(map, writable_later)
{
	char *mem = mmap(self->room, SIZE, PROT_READ, MAP_SHARED | MAP_FIXED,
			 self->fd, 0);

	ASSERT_EQ(self->room, mem);
	fill(self->other, SIZE, 0, 170);
	EXPECT_TRUE(filled(mem, SIZE, 0, 170));
	EXPECT_TRUE(dies_by_writing(mem));
	EXPECT_TRUE(dies_by_writing(mem + SIZE - 1));
	ASSERT_EQ(0, mprotect(mem, SIZE, PROT_READ | PROT_WRITE));
	fill(mem, SIZE, 0, 171);
	EXPECT_TRUE(all_agree(self, 171));
}

/* It has no huge entry; pages come as many at once, each clean. */
TEST_F(map, process_without_huge_pages)
{
	volatile char sum = 0;
	long before;
	char *mem;

	ASSERT_EQ(0, prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
	mem = map_at(self->room, self->fd, SIZE, 0);
	ASSERT_EQ(self->room, mem);
	before = faults();
	for (size_t at = 0; at < SIZE; at += PAGE)
		sum += mem[at];
	EXPECT_LE(faults() - before, (long)(SIZE / PMD) + OTHER_FAULTS);
	before = faults();
	fill(mem, SIZE, 0, 180);
	EXPECT_LE(faults() - before, (long)(SIZE / PMD * PAGES) + OTHER_FAULTS);
	EXPECT_TRUE(all_agree(self, 180));
}

/* One that forbids them when it has them keeps its mappings. */
TEST_F(map, huge_pages_forbidden_later)
{
	char *mem = map_at(self->room, self->fd, SIZE, 0);

	ASSERT_EQ(self->room, mem);
	fill(mem, 2 * PMD, 0, 190);
	ASSERT_EQ(0, prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
	EXPECT_TRUE(filled(mem, 2 * PMD, 0, 190));
	fill(mem, SIZE, 0, 191);
	EXPECT_TRUE(all_agree(self, 191));
}

/* Pages are not taken away, nor do they get into a core dump. */
TEST_F(map, advice)
{
	char *mem = map_at(self->room, self->fd, SIZE, 0);

	ASSERT_EQ(self->room, mem);
	fill(mem, SIZE, 0, 200);
	EXPECT_EQ(-1, madvise(mem, SIZE, MADV_DONTNEED));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, madvise(mem, SIZE, MADV_DODUMP));
	EXPECT_EQ(EINVAL, errno);
	madvise(mem, SIZE, MADV_HUGEPAGE);
	madvise(mem, SIZE, MADV_COLD);
	madvise(mem, SIZE, MADV_PAGEOUT);
	EXPECT_TRUE(filled(mem, SIZE, 0, 200));
	EXPECT_TRUE(all_agree(self, 200));
}

struct toucher {
	pthread_t thread;
	pthread_barrier_t *barrier;
	char *mem;
	int nth;
};

static void *touch(void *arg)
{
	struct toucher *t = arg;

	pthread_barrier_wait(t->barrier);
	for (size_t at = t->nth * PAGE; at < SIZE; at += 8 * PAGE)
		fill(t->mem + at, PAGE, at, 210);
	return NULL;
}

/* All want the same PMDs at once. */
TEST_F(map, threads)
{
	struct toucher touchers[8];
	pthread_barrier_t barrier;

	for (int round = 0; round < 20; round++) {
		char *mem = map_at(self->room, self->fd, SIZE, 0);

		ASSERT_EQ(self->room, mem);
		pthread_barrier_init(&barrier, NULL, 8);
		for (int i = 0; i < 8; i++) {
			touchers[i] = (struct toucher) {
				.barrier = &barrier, .mem = mem, .nth = i,
			};
			ASSERT_EQ(0, pthread_create(&touchers[i].thread, NULL, touch,
						    &touchers[i]));
		}
		for (int i = 0; i < 8; i++)
			pthread_join(touchers[i].thread, NULL);
		pthread_barrier_destroy(&barrier);
		EXPECT_TRUE(filled(self->other, SIZE, 0, 210));
		fill(self->other, SIZE, 0, 0);
	}
}

TEST_HARNESS_MAIN
