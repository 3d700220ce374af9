// SPDX-License-Identifier: GPL-2.0
/*
 * What users of dma-buf heaps rely on, whatever heap it is. All tests run over
 * each node of /dev/dma_heap, or over the one alone that the environment variable
 * HEAP names. A heap that is known not to hold something skips the test, and says
 * why. Buffers are accessed as such of cached heaps have to be.
 */

#include <pthread.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "heap_util.h"

/* A large buffer, where the heap has room for it. */
#define LARGE		(32 * MIB)
#define MOST_BUFFERS	64
#define REUSES		10000
#define KILLS		40
#define THREADS		100
#define THREAD_ROUNDS	3

FIXTURE(heap) {
	int heap;
	int fds;
	size_t page;
};

FIXTURE_VARIANT(heap) {
	char name[NAME_MAX + 1];
};

FIXTURE_SETUP(heap)
{
	self->page = page_size();
	self->heap = heap_open(variant->name);
	ASSERT_GE(self->heap, 0) {
		TH_LOG("cannot open heap %s: %s", variant->name,
		       strerror(errno));
	}
	self->fds = count_fds();
}

FIXTURE_TEARDOWN(heap)
{
	EXPECT_EQ(self->fds, count_fds());
	close(self->heap);
}

#define EXPECT_FAILS(error, call)	EXPECT_EQ(error, (call) == -1 ? errno : 0)
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
	EXPECT_FAILS(EINVAL, ioctl(self->heap, _IOWR(DMA_HEAP_IOC_MAGIC, 1,
						     data), &data));
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
	size_t size;
	int importer, fd, ret;

	if (heap_is_system(variant->name))
		SKIP(return, "promises no contiguous memory");
	importer = importer_open();
	if (importer < 0)
		SKIP(return, NO_IMPORTER);

	ASSERT_GE(largest, 2 * self->page);
	for (size = self->page; size <= largest; size *= 2) {
		/* Neither a power of 2, but for the last. */
		fd = heap_alloc(self->heap, size < largest ? size + self->page :
							    size);
		ASSERT_GE(fd, 0);
		ret = importer_map(importer, fd);
		EXPECT_EQ(0, ret) {
			TH_LOG("%zu bytes: %s", size, strerror(errno));
		}
		importer_unmap(importer);
		close(fd);
	}
	close(importer);
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

	/* Offsets whose sum with the length wraps around, in bytes or pages. */
	EXPECT_EQ(MAP_FAILED, buffer_map(fd, 2 * page, -(off_t)page));
	EXPECT_TRUE(errno == EINVAL || errno == EOVERFLOW);
	EXPECT_EQ(MAP_FAILED, buffer_map(fd, 4 * page, -2 * (off_t)page));
	EXPECT_TRUE(errno == EINVAL || errno == EOVERFLOW);

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
	int fd, pipes[2], status, keeps_fd;
	void *mem, *other;
	pid_t pid;
	char byte;

	for (keeps_fd = 0; keeps_fd < 2; keeps_fd++) {
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

TEST_F(heap, sync)
{
	static const __u64 directions[] = {
		DMA_BUF_SYNC_READ, DMA_BUF_SYNC_WRITE, DMA_BUF_SYNC_RW,
	};
	__u64 *mem, bad;
	size_t i, round;
	int bit, fd;

	fd = heap_alloc(self->heap, self->page);
	ASSERT_GE(fd, 0);
	mem = buffer_map(fd, self->page, 0);
	ASSERT_NE(MAP_FAILED, (void *)mem);

	fill(mem, self->page, 5);

	/* Data passes each pair unharmed. */
	for (round = 0; round < 2; round++) {
		for (i = 0; i < ARRAY_SIZE(directions); i++) {
			EXPECT_EQ(0, buffer_sync(fd, DMA_BUF_SYNC_START |
						     directions[i]));
			EXPECT_TRUE(filled(mem, self->page, 5));
			EXPECT_EQ(0, buffer_sync(fd, DMA_BUF_SYNC_END |
						     directions[i]));
		}
	}

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

/*
 * A heap that takes memory from where it finds some first is given the same again
 * and again. A large buffer now and then dirties what lies beyond.
 */
TEST_F_TIMEOUT(heap, zeroed_after_reuse, 600)
{
	size_t len, large = heap_largest(self->heap, LARGE);
	int i, dirty = 0;
	void *mem;
	int fd;

	ASSERT_GT(large, 0UL);
	for (i = 0; i < REUSES; i++) {
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
	EXPECT_EQ(0, dirty) {
		TH_LOG("%d of %d buffers were not zeroed", dirty, REUSES);
	}
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
	struct worker workers[THREADS] = { };
	pthread_barrier_t barrier;
	int i;

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
 * A process that is killed while it allocates leaves nothing behind. Of a region,
 * what they all have asked for is more than there is.
 */
TEST_F_TIMEOUT(heap, killed_while_allocating, 300)
{
	const int max = heap_is_system(variant->name) ? 1 : MOST_BUFFERS;
	const size_t size = heap_largest(self->heap, LARGE);
	int room, killed;

	ASSERT_GT(size, 0UL);
	room = count_room(self->heap, size, max);
	killed = heap_kill_many(self->heap, size, KILLS);
	TH_LOG("%d of %d were killed while they allocated %zu KiB", killed,
	       KILLS, size / KIB);
	EXPECT_GT(killed, KILLS / 4);
	EXPECT_EQ(room, count_room(self->heap, size, max));
}

TEST_F_TIMEOUT(heap, exhaustion, 300)
{
	const size_t large = heap_largest(self->heap, LARGE / 2);
	struct rlimit limit;
	int *fds, n = 0, again;
	size_t size;

	if (heap_is_system(variant->name))
		SKIP(return, "would take all memory of the system");

	ASSERT_GT(large, 0UL);
	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
	limit.rlim_cur = limit.rlim_max;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	fds = calloc(limit.rlim_cur, sizeof(*fds));
	ASSERT_NE(NULL, fds);

	/* Down to the last page. */
	for (size = large; size >= self->page; size /= 2) {
		while ((fds[n] = heap_alloc(self->heap, size)) >= 0)
			n++;
		ASSERT_EQ(ENOMEM, errno) {
			TH_LOG("%s after %d buffers", strerror(errno), n);
		}
	}
	EXPECT_FAILS(ENOMEM, heap_alloc(self->heap, self->page));
	ASSERT_GT(n, 0);

	/* What one of them gives back is there for the next one. */
	close(fds[0]);
	fds[0] = heap_alloc(self->heap, large);
	ASSERT_GE(fds[0], 0) {
		TH_LOG("%zu bytes: %s", large, strerror(errno));
	}

	while (n--)
		close(fds[n]);
	again = heap_alloc(self->heap, large);
	EXPECT_GE(again, 0);
	close(again);
	free(fds);
}

static int is_heap(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

int main(int argc, char **argv)
{
	const char *only = getenv("HEAP");
	struct dirent **heaps;
	int i, n;

	if (only) {
		heap_add_run(&_heap_fixture_object, only);
		return test_harness_run(argc, argv);
	}

	n = scandir(HEAP_DIR, &heaps, is_heap, alphasort);
	if (n <= 0) {
		ksft_print_header();
		ksft_exit_skip("no heap in " HEAP_DIR "\n");
	}
	for (i = 0; i < n; i++)
		heap_add_run(&_heap_fixture_object, heaps[i]->d_name);

	return test_harness_run(argc, argv);
}
