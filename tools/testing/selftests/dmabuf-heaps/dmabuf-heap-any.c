// SPDX-License-Identifier: GPL-2.0
/*
 * What users of dma-buf heaps rely on, whatever heap it is. All tests run over
 * each node of /dev/dma_heap; -v selects one. A heap that is known not to hold
 * something skips the test, and says why.
 *
 * Nobody else should allocate from these heaps meanwhile.
 */

#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "kselftest_harness.h"
#include "heap_util.h"

/* Room that each test may count on. */
#define LEAST		(4 * MIB)
/* A large buffer, where the heap has room for it. */
#define LARGE		(32 * MIB)
/*
 * One to fill a heap with. cma_heap.c allocates an array of its pages besides, from
 * contiguous memory, too: that of a larger buffer may fail when the heap is not full.
 */
#define FILLER		(8 * MIB)
#define MOST_HEAPS	64
#define MOST_BUFFERS	256
#define MOST_FDS	4096
#define REUSES		10000
#define REUSES_SECONDS	240
#define KILLS		40
/* No more than the time of a test allows */
#define MOST_KILLS	2000
#define THREADS		100
#define THREAD_ROUNDS	3

FIXTURE(heap) {
	int heap;
	int fds;
	size_t page;
};

FIXTURE_VARIANT(heap) {
	const char *name;
};

FIXTURE_SETUP(heap)
{
	void *mem;
	int fd;

	self->page = page_size();
	self->heap = heap_open(variant->name);
	if (self->heap < 0 && (errno == EACCES || errno == EPERM))
		SKIP(return, NO_PRIVILEGE);
	ASSERT_GE(self->heap, 0) {
		TH_LOG("cannot open heap %s: %s", variant->name,
		       strerror(errno));
	}

	fd = heap_alloc(self->heap, LEAST);
	if (fd < 0 && errno == ENOMEM)
		SKIP(return, "no %lu KiB of it are free", LEAST / KIB);
	ASSERT_GE(fd, 0);
	mem = buffer_map(fd, LEAST, 0);
	if (mem == MAP_FAILED && errno == EINVAL)
		SKIP(return, "has no buffers that can be mapped");
	ASSERT_NE(MAP_FAILED, mem);
	munmap(mem, LEAST);
	close(fd);

	self->fds = count_fds();
	ASSERT_GT(self->fds, 0);
}

FIXTURE_TEARDOWN(heap)
{
	EXPECT_EQ(self->fds, count_fds());
	close(self->heap);
}

#define EXPECT_NO_MAP(error, mem)	EXPECT_EQ(error, (mem) == MAP_FAILED ? errno : 0)

/* A length that is none, and such that are after rounding up to pages. */
TEST_F(heap, no_length)
{
	EXPECT_FAILS(EINVAL, heap_alloc(self->heap, 0));
	EXPECT_FAILS(EINVAL, heap_alloc(self->heap, UINT64_MAX));
	EXPECT_FAILS(EINVAL, heap_alloc(self->heap, UINT64_MAX - self->page + 2));
}

TEST_F(heap, length_beyond_memory)
{
	if (heap_is_system(variant->name))
		SKIP(return, "has no limit, and takes all memory of the system before it fails");

	EXPECT_FAILS(ENOMEM, heap_alloc(self->heap, -self->page));
	EXPECT_FAILS(ENOMEM, heap_alloc(self->heap, -2 * self->page));
	EXPECT_FAILS(ENOMEM, heap_alloc(self->heap, SIZE_MAX / 2 + 1));
}

TEST_F(heap, size)
{
	const size_t sizes[][2] = {
		{ 1, self->page },
		{ self->page, self->page },
		{ self->page + 1, 2 * self->page },
		{ 5 * self->page, 5 * self->page },
	};
	size_t i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		fd = heap_alloc(self->heap, sizes[i][0]);
		ASSERT_GE(fd, 0);
		EXPECT_EQ((off_t)sizes[i][1], lseek(fd, 0, SEEK_END));
		close(fd);
	}
}

/* None of them leaves a descriptor behind, see the fixture's teardown. */
TEST_F(heap, unknown_heap_flags)
{
	struct dma_heap_allocation_data data = { .fd_flags = O_RDWR };
	int bit;

	data.len = self->page;
	for (bit = 0; bit < 64; bit++) {
		data.heap_flags = 1ULL << bit;
		EXPECT_FAILS(EINVAL, ioctl(self->heap, DMA_HEAP_IOCTL_ALLOC, &data)) {
			TH_LOG("bit %d", bit);
		}
	}
}

TEST_F(heap, unknown_fd_flags)
{
	__u32 flag;
	int bit;

	for (bit = 0; bit < 32; bit++) {
		flag = 1U << bit;
		if (flag & (O_ACCMODE | O_CLOEXEC))
			continue;
		EXPECT_FAILS(EINVAL, heap_alloc_flags(self->heap, self->page,
						      O_RDWR | flag)) {
			TH_LOG("flag %#x", flag);
		}
	}
}

TEST_F(heap, descriptor_given)
{
	struct dma_heap_allocation_data data = { .fd = 3, .fd_flags = O_RDWR };

	data.len = self->page;
	EXPECT_FAILS(EINVAL, ioctl(self->heap, DMA_HEAP_IOCTL_ALLOC, &data));
}

TEST_F(heap, unknown_ioctl)
{
	struct dma_heap_allocation_data data = { .fd_flags = O_RDWR };
	int fd;

	data.len = self->page;
	EXPECT_FAILS(EINVAL, ioctl(self->heap, _IOWR(DMA_HEAP_IOC_MAGIC, 0xff,
						     data), &data));
	fd = heap_alloc(self->heap, self->page);
	ASSERT_GE(fd, 0);
	EXPECT_FAILS(ENOTTY, ioctl(fd, _IOWR(DMA_BUF_BASE, 0xff, data), &data));
	close(fd);
}

/* The second fails when the buffer is there already. */
TEST_F(heap, bad_argument)
{
	struct dma_heap_allocation_data *data;

	data = mmap(NULL, self->page, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)data);
	data->len = self->page;
	data->fd_flags = O_RDWR;
	ASSERT_EQ(0, mprotect(data, self->page, PROT_NONE));
	EXPECT_FAILS(EFAULT, ioctl(self->heap, DMA_HEAP_IOCTL_ALLOC, data));
	ASSERT_EQ(0, mprotect(data, self->page, PROT_READ));
	EXPECT_FAILS(EFAULT, ioctl(self->heap, DMA_HEAP_IOCTL_ALLOC, data));
	munmap(data, self->page);
}

TEST_F(heap, cloexec_and_access_mode)
{
	static const int modes[] = { O_RDONLY, O_WRONLY, O_RDWR };
	size_t i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		fd = heap_alloc_flags(self->heap, self->page, modes[i] | O_CLOEXEC);
		ASSERT_GE(fd, 0);
		EXPECT_EQ(modes[i], fcntl(fd, F_GETFL) & O_ACCMODE);
		EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
		close(fd);
		fd = heap_alloc_flags(self->heap, self->page, modes[i]);
		ASSERT_GE(fd, 0);
		EXPECT_EQ(0, fcntl(fd, F_GETFD));
		close(fd);
	}
}

/* An importer that needs the buffer in one piece takes it, whatever its size. */
TEST_F_TIMEOUT(heap, contiguous, 120)
{
	const size_t largest = heap_largest(self->heap, LARGE);
	int importer, fd, error = 0;
	size_t size, len = 0;

	if (heap_is_system(variant->name))
		SKIP(return, "promises no contiguous memory");
	importer = importer_open();
	if (importer < 0)
		SKIP(return, NO_IMPORTER);

	for (size = self->page; size <= largest && !error; size *= 2) {
		/* No powers of 2, but for the first and the last. */
		len = size < largest ? size + self->page : size;
		fd = heap_alloc(self->heap, len);
		ASSERT_GE(fd, 0);
		if (importer_map(importer, fd, 1))
			error = errno;
		importer_unmap(importer);
		close(fd);
	}
	close(importer);
	ASSERT_NE(EFAULT, error) {
		TH_LOG("%zu bytes are in pieces", len);
	}
	if (error)
		SKIP(return, IMPORTER_REFUSES, strerror(error));
}

/* A mapping of a part is that part of the buffer. */
TEST_F(heap, mmap_offset)
{
	const size_t len = 2 * MIB + 3 * self->page;
	const struct {
		size_t offset;
		size_t len;
	} parts[] = {
		{ 0, self->page },
		{ self->page, 3 * self->page },
		{ MIB - self->page, 2 * self->page },
		{ 2 * MIB - self->page, 3 * self->page },
		{ MIB / 2, MIB },
		{ len - self->page, self->page },
	};
	__u64 *whole, *part, seed;
	size_t i, last;
	int fd;

	fd = heap_alloc(self->heap, len);
	ASSERT_GE(fd, 0);
	whole = buffer_map(fd, len, 0);
	ASSERT_NE(MAP_FAILED, (void *)whole);
	ASSERT_EQ(0, buffer_sync(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW));
	fill(whole, len, 1000);
	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		part = buffer_map(fd, parts[i].len, parts[i].offset);
		ASSERT_NE(MAP_FAILED, (void *)part);
		seed = 1000 + parts[i].offset / sizeof(*part);
		last = parts[i].len / sizeof(*part) - 1;
		EXPECT_TRUE(filled(part, parts[i].len, seed)) {
			TH_LOG("offset %zu", parts[i].offset);
		}

		/* What is written to one is read from the other. */
		part[last] = i;
		EXPECT_EQ(i, whole[parts[i].offset / sizeof(*part) + last]);
		part[last] = seed + last;
		munmap(part, parts[i].len);
	}
	EXPECT_EQ(0, buffer_sync(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW));
	munmap(whole, len);
	close(fd);
}

TEST_F(heap, mmap_past_end)
{
	const size_t page = self->page;
	void *mem;
	int fd;

	fd = heap_alloc(self->heap, 4 * page);
	ASSERT_GE(fd, 0);
	EXPECT_NO_MAP(EINVAL, buffer_map(fd, 5 * page, 0));
	EXPECT_NO_MAP(EINVAL, buffer_map(fd, page, 4 * page));
	EXPECT_NO_MAP(EINVAL, buffer_map(fd, 2 * page, 3 * page));

	/* The largest offset that gets as far as to the dma-buf. */
	EXPECT_NO_MAP(EINVAL, buffer_map(fd, 2 * page, -3 * (off_t)page));

	/* Nor does a mapping grow out of it, or at all. */
	mem = buffer_map(fd, 4 * page, 0);
	ASSERT_NE(MAP_FAILED, mem);
	EXPECT_NO_MAP(EFAULT, mremap(mem, 4 * page, 5 * page, MREMAP_MAYMOVE));
	munmap(mem, 4 * page);
	close(fd);
}

/*
 * A private mapping is refused, or else is one: what is written to it does not
 * reach the buffer, and stays.
 */
TEST_F(heap, mmap_private)
{
	const size_t sizes[] = { self->page, 16 * self->page };
	__u64 *shared, *private;
	size_t i, len;
	int fd;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		len = sizes[i];
		fd = heap_alloc(self->heap, len);
		ASSERT_GE(fd, 0);
		private = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE,
			       fd, 0);
		if (private == MAP_FAILED) {
			EXPECT_EQ(EINVAL, errno);
			close(fd);
			continue;
		}

		shared = buffer_map(fd, len, 0);
		ASSERT_NE(MAP_FAILED, (void *)shared);
		ASSERT_EQ(0, buffer_sync(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW));
		fill(shared, len, 1);
		fill(private, len, 1000000);
		EXPECT_TRUE(filled(shared, len, 1));
		fill(shared, len, 2);
		EXPECT_TRUE(filled(private, len, 1000000));
		EXPECT_EQ(0, buffer_sync(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW));
		munmap(shared, len);
		munmap(private, len);
		close(fd);
	}
}

TEST_F(heap, mmap_access_mode)
{
	const size_t page = self->page;
	void *mem;
	int fd;

	fd = heap_alloc_flags(self->heap, page, O_RDONLY);
	ASSERT_GE(fd, 0);
	EXPECT_NO_MAP(EACCES, buffer_map(fd, page, 0));
	EXPECT_NO_MAP(EACCES, mmap(NULL, page, PROT_WRITE, MAP_SHARED, fd, 0));
	mem = mmap(NULL, page, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, mem);
	EXPECT_TRUE(all_zero(mem, page));
	EXPECT_FAILS(EACCES, mprotect(mem, page, PROT_READ | PROT_WRITE));
	munmap(mem, page);
	close(fd);

	fd = heap_alloc_flags(self->heap, page, O_WRONLY);
	ASSERT_GE(fd, 0);
	EXPECT_NO_MAP(EACCES, buffer_map(fd, page, 0));
	EXPECT_NO_MAP(EACCES, mmap(NULL, page, PROT_READ, MAP_SHARED, fd, 0));
	close(fd);
}

/* Each sees what the other has written. */
TEST_F(heap, fork_shares)
{
	bool as_parent_wrote;
	int fd, status;
	pid_t pid;
	void *mem;

	fd = heap_alloc(self->heap, MIB);
	ASSERT_GE(fd, 0);
	mem = buffer_map(fd, MIB, 0);
	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, buffer_sync(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW));
	fill(mem, MIB, 9);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		as_parent_wrote = filled(mem, MIB, 9);
		fill(mem, MIB, 11);
		_exit(!as_parent_wrote);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_TRUE(filled(mem, MIB, 11));
	EXPECT_EQ(0, buffer_sync(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW));
	munmap(mem, MIB);
	close(fd);
}

/* The child's mapping, or its descriptor, is all that is left of the buffer. */
TEST_F(heap, fork_outlives)
{
	int fd, ready[2], pipes[2], status, keeps_fd;
	void *mem, *other;
	pid_t pid;
	char byte;

	for (keeps_fd = 0; keeps_fd < 2; keeps_fd++) {
		ASSERT_EQ(0, pipe2(ready, O_CLOEXEC));
		ASSERT_EQ(0, pipe2(pipes, O_CLOEXEC));
		fd = heap_alloc(self->heap, MIB);
		ASSERT_GE(fd, 0);
		mem = buffer_map(fd, MIB, 0);
		ASSERT_NE(MAP_FAILED, mem);
		fill(mem, MIB, 13);
		pid = fork();
		ASSERT_GE(pid, 0);
		if (!pid) {
			if (keeps_fd)
				munmap(mem, MIB);
			else
				close(fd);
			close(pipes[1]);
			if (write(ready[1], "", 1) != 1)
				_exit(1);
			/* The end of the file: the parent has let go. */
			if (read(pipes[0], &byte, 1))
				_exit(1);
			if (keeps_fd)
				mem = buffer_map(fd, MIB, 0);
			_exit(mem == MAP_FAILED || !filled(mem, MIB, 13));
		}
		munmap(mem, MIB);
		close(fd);
		close(pipes[0]);
		close(ready[1]);
		/* Now the child has no more than the one. */
		EXPECT_EQ(1, read(ready[0], &byte, 1));
		close(ready[0]);

		/* Would be given the same memory if that were free. */
		fd = heap_alloc(self->heap, MIB);
		ASSERT_GE(fd, 0);
		other = buffer_map(fd, MIB, 0);
		ASSERT_NE(MAP_FAILED, other);
		fill(other, MIB, 99);
		close(pipes[1]);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_EQ(0, status);
		EXPECT_TRUE(filled(other, MIB, 99));
		munmap(other, MIB);
		close(fd);
	}
}

union fd_message {
	struct cmsghdr header;
	char room[CMSG_SPACE(sizeof(int))];
};

/* The byte of payload is what keeps a message apart from the end of the stream. */
static ssize_t send_fd(int socket, int fd)
{
	union fd_message control = {
		.header.cmsg_level = SOL_SOCKET,
		.header.cmsg_type = SCM_RIGHTS,
		.header.cmsg_len = CMSG_LEN(sizeof(fd)),
	};
	struct iovec payload = { .iov_base = "", .iov_len = 1 };
	struct msghdr message = {
		.msg_iov = &payload,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));

	return sendmsg(socket, &message, 0);
}

static int receive_fd(int socket)
{
	union fd_message control = { };
	char byte;
	struct iovec payload = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = {
		.msg_iov = &payload,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	int fd;

	if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != 1 ||
	    control.header.cmsg_type != SCM_RIGHTS)
		return -1;

	memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));

	return fd;
}

/* The process that allocated is gone before the descriptor is received. */
TEST_F(heap, passed_to_another_process)
{
	int sockets[2], fd, status;
	pid_t pid;
	void *mem;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets));
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		fd = heap_alloc(self->heap, MIB);
		mem = buffer_map(fd, MIB, 0);
		if (mem == MAP_FAILED)
			_exit(1);
		fill(mem, MIB, 17);
		_exit(send_fd(sockets[1], fd) != 1);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	fd = receive_fd(sockets[0]);
	ASSERT_GE(fd, 0);
	mem = buffer_map(fd, MIB, 0);
	ASSERT_NE(MAP_FAILED, mem);
	EXPECT_TRUE(filled(mem, MIB, 17));
	fill(mem, MIB, 18);
	EXPECT_TRUE(filled(mem, MIB, 18));
	munmap(mem, MIB);
	close(fd);
	close(sockets[0]);
	close(sockets[1]);
}

/* Data passes each pair of directions unharmed. Returns how many it did not. */
static int sync_pairs(int fd, const void *mem, size_t len, __u64 seed)
{
	static const __u64 directions[] = {
		DMA_BUF_SYNC_READ, DMA_BUF_SYNC_WRITE, DMA_BUF_SYNC_RW,
	};
	size_t i, round;
	int bad = 0;

	for (round = 0; round < 2; round++) {
		for (i = 0; i < ARRAY_SIZE(directions); i++) {
			bad += buffer_sync(fd, DMA_BUF_SYNC_START | directions[i]) ||
			       !filled(mem, len, seed);
			bad += !!buffer_sync(fd, DMA_BUF_SYNC_END | directions[i]);
		}
	}

	return bad;
}

TEST_F(heap, sync)
{
	__u64 bad;
	void *mem;
	int bit, fd;

	fd = heap_alloc(self->heap, self->page);
	ASSERT_GE(fd, 0);
	mem = buffer_map(fd, self->page, 0);
	ASSERT_NE(MAP_FAILED, mem);

	fill(mem, self->page, 5);
	EXPECT_EQ(0, sync_pairs(fd, mem, self->page, 5));

	/* No direction, and flags that are none. */
	EXPECT_FAILS(EINVAL, buffer_sync(fd, DMA_BUF_SYNC_START));
	EXPECT_FAILS(EINVAL, buffer_sync(fd, DMA_BUF_SYNC_END));
	for (bit = 0; bit < 64; bit++) {
		bad = 1ULL << bit;
		if (bad & DMA_BUF_SYNC_VALID_FLAGS_MASK)
			continue;
		EXPECT_FAILS(EINVAL, buffer_sync(fd, DMA_BUF_SYNC_START |
						     DMA_BUF_SYNC_RW | bad));
		EXPECT_FAILS(EINVAL, buffer_sync(fd, DMA_BUF_SYNC_END |
						     DMA_BUF_SYNC_RW | bad));
	}
	EXPECT_FAILS(EFAULT, ioctl(fd, DMA_BUF_IOCTL_SYNC, NULL));
	EXPECT_TRUE(filled(mem, self->page, 5));
	munmap(mem, self->page);
	close(fd);
}

/* With importers that have the buffer mapped heaps have work to do. */
TEST_F(heap, sync_of_imported)
{
	int importer, fd, error = 0, bad = 0;
	unsigned int imports;
	void *mem;

	if (heap_is_system(variant->name))
		SKIP(return, "promises no contiguous memory, as the importer wants it");
	importer = importer_open();
	if (importer < 0)
		SKIP(return, NO_IMPORTER);

	fd = heap_alloc(self->heap, MIB);
	ASSERT_GE(fd, 0);
	mem = buffer_map(fd, MIB, 0);
	ASSERT_NE(MAP_FAILED, mem);
	ASSERT_EQ(0, buffer_sync(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW));
	fill(mem, MIB, 21);
	ASSERT_EQ(0, buffer_sync(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW));

	/* The importer writes only to what it streams. */
	for (imports = 1; imports <= 3 && !error; imports++) {
		if (importer_map(importer, fd, imports))
			error = errno;
		else
			bad += sync_pairs(fd, mem, MIB, 21);
		importer_unmap(importer);
		bad += sync_pairs(fd, mem, MIB, 21);
	}
	munmap(mem, MIB);
	close(fd);
	close(importer);
	ASSERT_EQ(0, bad);
	ASSERT_NE(EFAULT, error);
	if (error)
		SKIP(return, IMPORTER_REFUSES, strerror(error));
}

/*
 * A heap that takes memory from where it finds some first is given the same again
 * and again. A large buffer now and then dirties what lies beyond.
 */
TEST_F_TIMEOUT(heap, zeroed_after_reuse, 600)
{
	const __u64 until = now_us() + REUSES_SECONDS * 1000000ULL;
	size_t len, large = heap_largest(self->heap, LARGE);
	int i, dirty = 0;
	void *mem;
	int fd;

	for (i = 0; i < REUSES && now_us() < until; i++) {
		len = i % 1000 ? (1 + i % 4) * self->page : large;
		fd = heap_alloc(self->heap, len);
		ASSERT_GE(fd, 0);
		mem = buffer_map(fd, len, 0);
		ASSERT_NE(MAP_FAILED, mem);
		dirty += !all_zero(mem, len);
		memset(mem, 0x5a, len);
		munmap(mem, len);
		close(fd);
	}
	ASSERT_EQ(0, dirty) {
		TH_LOG("%d of %d buffers were not zeroed", dirty, i);
	}
	if (i < REUSES)
		SKIP(return, "%d reuses took %d s, %d were wanted", i,
		     REUSES_SECONDS, REUSES);
}

struct worker {
	pthread_t thread;
	pthread_barrier_t *barrier;
	int heap;
	size_t len;
	__u64 seed;
	int failed;	/* allocations and mappings */
	int dirty;	/* buffers that did not hold zeroes */
	int shared;	/* buffers that others have written to */
};

/* Comes to each barrier whatever happens, as all others wait there. */
static void *allocate_among_others(void *arg)
{
	struct worker *worker = arg;
	void *mem;
	int i, fd;

	for (i = 0; i < THREAD_ROUNDS; i++) {
		pthread_barrier_wait(worker->barrier);
		fd = heap_alloc(worker->heap, worker->len);
		mem = buffer_map(fd, worker->len, 0);
		if (mem == MAP_FAILED) {
			worker->failed++;
		} else {
			worker->dirty += !all_zero(mem, worker->len);
			fill(mem, worker->len, worker->seed);
		}
		pthread_barrier_wait(worker->barrier);
		if (mem != MAP_FAILED) {
			worker->shared += !filled(mem, worker->len, worker->seed);
			munmap(mem, worker->len);
		}
		if (fd >= 0)
			close(fd);
	}

	return NULL;
}

/* Buffers of one moment are of memory of their own. */
TEST_F_TIMEOUT(heap, concurrent, 300)
{
	/* Each of up to 16 pages; heaps may round up to a power of 2. */
	const size_t wanted = THREADS * 16 * self->page;
	struct worker workers[THREADS] = { };
	pthread_barrier_t barrier;
	int i;

	if (heap_largest(self->heap, wanted) < wanted)
		SKIP(return, "no %zu KiB of it are free", wanted / KIB);

	ASSERT_EQ(0, pthread_barrier_init(&barrier, NULL, THREADS));
	for (i = 0; i < THREADS; i++) {
		workers[i].barrier = &barrier;
		workers[i].heap = self->heap;
		workers[i].len = (1 + i % 16) * self->page;
		workers[i].seed = (i + 1ULL) << 32;
		ASSERT_EQ(0, pthread_create(&workers[i].thread, NULL,
					    allocate_among_others, &workers[i]));
	}
	for (i = 0; i < THREADS; i++) {
		ASSERT_EQ(0, pthread_join(workers[i].thread, NULL));
		EXPECT_EQ(0, workers[i].failed);
		EXPECT_EQ(0, workers[i].dirty);
		EXPECT_EQ(0, workers[i].shared);
	}
	pthread_barrier_destroy(&barrier);
}

/* How many buffers of a size there is room for at once, counted up to @max. */
static int count_room(int heap, size_t size, int max)
{
	int fds[MOST_BUFFERS], n = 0, room;

	while (n < max) {
		fds[n] = heap_alloc(heap, size);
		if (fds[n] < 0)
			break;
		n++;
	}
	room = n;
	while (n--)
		close(fds[n]);

	return room;
}

/*
 * A process that is killed while it allocates leaves nothing behind. What they all
 * have asked for is more than there is.
 */
TEST_F_TIMEOUT(heap, killed_while_allocating, 300)
{
	const size_t size = heap_largest(self->heap, LARGE);
	int most = MOST_BUFFERS, room, needed, kills, killed;

	if (heap_is_system(variant->name))
		most = 1;
	room = count_room(self->heap, size, most);
	needed = most > 1 ? room : sysconf(_SC_PHYS_PAGES) / (size / self->page);
	kills = KILLS + 2 * needed;
	if (kills > MOST_KILLS)
		kills = MOST_KILLS;
	killed = heap_kill_many(self->heap, size, kills);
	TH_LOG("%d of %d were killed while they allocated %zu KiB", killed,
	       kills, size / KIB);
	ASSERT_GE(killed, 0);
	ASSERT_EQ(room, count_room(self->heap, size, most));
	if (killed < needed || killed < KILLS / 4)
		SKIP(return, "only %d of %d were killed in time", killed, kills);
}

/*
 * Take all there is, down to the last page. Returns how many buffers that were, or
 * -1 and an errno that is not that of a full heap; @total is their size.
 */
static int fill_heap(int heap, int *fds, int max, size_t *total)
{
	size_t size;
	int n = 0;

	*total = 0;
	for (size = heap_largest(heap, FILLER); size >= page_size(); size /= 2) {
		while (n < max && (fds[n] = heap_alloc(heap, size)) >= 0) {
			*total += size;
			n++;
		}
		if (n == max)
			errno = EMFILE;
		if (errno != ENOMEM) {
			while (n--)
				close(fds[n]);
			return -1;
		}
	}

	return n;
}

TEST_F_TIMEOUT(heap, exhaustion, 600)
{
	size_t total, size, again = 0;
	struct rlimit limit;
	int fds[MOST_FDS], n, i, max;

	if (heap_is_system(variant->name))
		SKIP(return, "would take all memory of the system");

	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
	if (limit.rlim_cur < MOST_FDS) {
		limit.rlim_cur = limit.rlim_max < MOST_FDS ? limit.rlim_max : MOST_FDS;
		ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	}
	max = (limit.rlim_cur < MOST_FDS ? limit.rlim_cur : MOST_FDS) - self->fds;

	n = fill_heap(self->heap, fds, max, &total);
	if (n < 0 && errno == EMFILE)
		SKIP(return, "takes more than %d buffers to fill", max);
	ASSERT_GT(n, 1) {
		TH_LOG("%s", strerror(errno));
	}

	/* What one of them gives back, the largest, is there for the next one. */
	size = lseek(fds[0], 0, SEEK_END);
	close(fds[0]);
	fds[0] = heap_alloc(self->heap, size);
	ASSERT_GE(fds[0], 0) {
		TH_LOG("%zu bytes: %s", size, strerror(errno));
	}
	while (n--)
		close(fds[n]);

	/* And so is all of it. Pages that cannot be moved for a moment may be missing. */
	for (i = 0; i < 5 && again < total; i++) {
		n = fill_heap(self->heap, fds, max, &again);
		ASSERT_GT(n, 0);
		while (n--)
			close(fds[n]);
	}
	EXPECT_GE(again, total);
}

static int is_heap(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

int main(int argc, char **argv)
{
	static FIXTURE_VARIANT(heap) variants[MOST_HEAPS];
	struct dirent **heaps;
	int i, n;

	n = scandir(HEAP_DIR, &heaps, is_heap, alphasort);
	if (n <= 0) {
		ksft_print_header();
		ksft_exit_skip("no heap in " HEAP_DIR "\n");
	}
	if (n > MOST_HEAPS)
		ksft_exit_fail_msg("%d heaps are more than %d\n", n, MOST_HEAPS);
	for (i = 0; i < n; i++) {
		variants[i].name = heaps[i]->d_name;
		HEAP_VARIANT_ADD(heap, variants[i].name, &variants[i]);
	}

	return test_harness_run(argc, argv);
}
