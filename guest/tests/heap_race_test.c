// SPDX-License-Identifier: GPL-2.0
/*
 * Importers map and unmap a buffer while other threads are in CPU access. What
 * can go wrong shows in the kernel's own checks, so this is for a kernel that
 * has them; the test group looks into its log.
 */

#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <time.h>
#include <linux/types.h>

#include "guest_test.h"
#include "kselftest_harness.h"

#define IMPORTERS	3
#define ACCESSORS	3
#define SECONDS		10
#define SIZE		(64 * KIB)

#define DMA_API		"/sys/kernel/debug/dma-api/"

static atomic_bool stop;

/* What a thread did; it ends at the first call that fails. */
struct thread {
	pthread_t id;
	int fd;			/* of the buffer */
	int importer;
	unsigned int number;
	long rounds;
	int error;
};

static int map_and_unmap(struct thread *t, unsigned int dir)
{
	if (ioctl(t->importer, TEST_IMPORTER_MAP, dir) ||
	    ioctl(t->importer, TEST_IMPORTER_UNMAP))
		return errno;
	return 0;
}

/* Attached anew every now and then. */
static void *import(void *arg)
{
	struct thread *t = arg;

	while (!stop && !t->error) {
		if (ioctl(t->importer, TEST_IMPORTER_ATTACH, t->fd)) {
			t->error = errno;
			break;
		}
		for (int i = 0; i < 16 && !t->error; i++)
			t->error = map_and_unmap(t, (t->number + i) % 3);
		if (ioctl(t->importer, TEST_IMPORTER_DETACH))
			t->error = errno;
		t->rounds++;
	}
	return NULL;
}

static void *access_buffer(void *arg)
{
	static const uint64_t ways[] = { DMA_BUF_SYNC_READ, DMA_BUF_SYNC_WRITE, DMA_BUF_SYNC_RW };
	struct thread *t = arg;

	while (!stop && !t->error) {
		uint64_t way = ways[(t->number + t->rounds) % 3];

		if (sync_buffer(t->fd, DMA_BUF_SYNC_START | way) ||
		    sync_buffer(t->fd, DMA_BUF_SYNC_END | way))
			t->error = errno;
		t->rounds++;
	}
	return NULL;
}

/* It turns itself off when it runs out of memory, and counts nothing then. */
static bool dma_api_is_checked(void)
{
	char answer = 0;
	int fd = open(DMA_API "disabled", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	if (read(fd, &answer, 1) != 1)
		answer = 0;
	close(fd);
	return answer == 'N';
}

FIXTURE(race) {
	int heap, fd;
	long errors;	/* of the DMA API's debugging, before the test */
};

FIXTURE_SETUP(race)
{
	/* CONFIG_DMA_API_DEBUG */
	self->errors = read_number(DMA_API "error_count");
	ASSERT_GE(self->errors, 0);
	/* The log would have the first one alone. */
	ASSERT_EQ(0, write_file(DMA_API "all_errors", "1"));
	self->heap = heap_open();
	ASSERT_GE(self->heap, 0);
	self->fd = heap_alloc(self->heap, SIZE);
	ASSERT_GE(self->fd, 0);
}

FIXTURE_TEARDOWN(race)
{
	close(self->fd);
	close(self->heap);
}

TEST_F_TIMEOUT(race, map_against_sync, 60 + SECONDS)
{
	struct thread threads[IMPORTERS + ACCESSORS] = { };
	long maps = 0, accesses = 0;

	for (int i = 0; i < IMPORTERS; i++) {
		threads[i].importer = importer_open();
		ASSERT_GE(threads[i].importer, 0);
	}
	for (int i = 0; i < IMPORTERS + ACCESSORS; i++) {
		threads[i].fd = self->fd;
		threads[i].number = i;
		ASSERT_EQ(0, pthread_create(&threads[i].id, NULL,
					    i < IMPORTERS ? import : access_buffer,
					    &threads[i]));
	}
	sleep(SECONDS);
	stop = true;
	for (int i = 0; i < IMPORTERS + ACCESSORS; i++) {
		pthread_join(threads[i].id, NULL);
		EXPECT_EQ(0, threads[i].error);
		EXPECT_GT(threads[i].rounds, 0);
		*(i < IMPORTERS ? &maps : &accesses) += threads[i].rounds;
	}
	for (int i = 0; i < IMPORTERS; i++)
		close(threads[i].importer);
	/* Nobody has it mapped, and that is what the buffer counts, too. */
	EXPECT_EQ(0, operations_of_access(self->fd));
	TH_LOG("%ld maps and %ld CPU accesses in %d s", 16 * maps, accesses, SECONDS);
	EXPECT_EQ(self->errors, read_number(DMA_API "error_count"));
	EXPECT_TRUE(dma_api_is_checked());
}

/*
 * That the counter counts: a device which claims shorter segments than the
 * buffer is a mistake that the DMA API's debugging knows.
 */
TEST_F(race, planted_error)
{
	int importer = importer_open();

	ASSERT_GE(importer, 0);
	ASSERT_EQ(0, ioctl(importer, TEST_IMPORTER_SET_MAX_SEGMENT, PAGE));
	ASSERT_EQ(0, ioctl(importer, TEST_IMPORTER_ATTACH, self->fd));
	ASSERT_EQ(0, ioctl(importer, TEST_IMPORTER_MAP, 0));
	EXPECT_EQ(self->errors + 1, read_number(DMA_API "error_count"));
	close(importer);
}

TEST_HARNESS_MAIN
