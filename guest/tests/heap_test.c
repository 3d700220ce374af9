// SPDX-License-Identifier: GPL-2.0
/*
 * What a heap promises to those who use it, and what it refuses.
 *
 * Each test starts from what the heap's CMA area has in use and must return it
 * there, and must leave no file descriptor behind.
 */

#define _GNU_SOURCE
#include <dirent.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "guest_test.h"
#include "kselftest_harness.h"

#define NV12_2160P	12441600UL

static int count_fds(void)
{
	struct dirent *entry;
	int n = 0;
	DIR *dir;

	dir = opendir("/proc/self/fd");
	if (!dir)
		return -1;
	while ((entry = readdir(dir)))
		n += entry->d_name[0] != '.';
	closedir(dir);
	return n;
}

static void *map(int fd, size_t len, off_t offset)
{
	return mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);
}

/* Each page starts with a word that no other page has. */
static void fill(void *mem, size_t len, uint64_t seed)
{
	for (size_t at = 0; at < len; at += PAGE)
		*(uint64_t *)((char *)mem + at) = seed + at;
}

static bool filled(const void *mem, size_t len, uint64_t first)
{
	for (size_t at = 0; at < len; at += PAGE)
		if (*(const uint64_t *)((const char *)mem + at) != first + at)
			return false;
	return true;
}

static bool all_zero(const void *mem, size_t len)
{
	const uint64_t *word = mem;

	for (size_t i = 0; i < len / sizeof(*word); i++)
		if (word[i])
			return false;
	return true;
}

FIXTURE(heap) {
	int heap;
	int fds;
	long used;
	size_t size;
};

FIXTURE_SETUP(heap)
{
	self->heap = heap_open();
	ASSERT_GE(self->heap, 0) {
		TH_LOG("no heap %s: %s", heap_name(), strerror(errno));
	}
	self->used = cma_pages("used");
	ASSERT_GE(self->used, 0);
	self->size = cma_pages("count") * PAGE;
	ASSERT_GT(self->size, 0UL);
	self->fds = count_fds();
}

FIXTURE_TEARDOWN(heap)
{
	EXPECT_EQ(self->fds, count_fds());
	EXPECT_EQ(self->used, cma_pages("used"));
}

#define EXPECT_ALLOC_ERRNO(error, len, flags)				\
	do {								\
		EXPECT_EQ(-1, heap_alloc_flags(self->heap, len, flags));	\
		EXPECT_EQ(error, errno);				\
	} while (0)

TEST_F(heap, length_zero)
{
	EXPECT_ALLOC_ERRNO(EINVAL, 0, O_RDWR);
}

TEST_F(heap, length_larger_than_region)
{
	EXPECT_ALLOC_ERRNO(ENOMEM, self->size + 1, O_RDWR);
	EXPECT_ALLOC_ERRNO(ENOMEM, 1ULL << 32, O_RDWR);
	EXPECT_ALLOC_ERRNO(ENOMEM, 1ULL << 63, O_RDWR);
}

TEST_F(heap, length_ullong_max)
{
	EXPECT_ALLOC_ERRNO(EINVAL, UINT64_MAX, O_RDWR);
	EXPECT_ALLOC_ERRNO(ENOMEM, UINT64_MAX - PAGE, O_RDWR);
}

TEST_F(heap, bad_fd_flags)
{
	EXPECT_ALLOC_ERRNO(EINVAL, PAGE, ~(O_ACCMODE | O_CLOEXEC));
	EXPECT_ALLOC_ERRNO(EINVAL, PAGE, O_RDWR | O_NONBLOCK);
}

TEST_F(heap, bad_heap_flags)
{
	struct dma_heap_allocation_data data = { .len = PAGE, .fd_flags = O_RDWR };

	for (int bit = 0; bit < 64; bit++) {
		data.heap_flags = 1ULL << bit;
		EXPECT_EQ(-1, ioctl(self->heap, DMA_HEAP_IOCTL_ALLOC, &data));
		EXPECT_EQ(EINVAL, errno);
	}
}

TEST_F(heap, fd_not_zero)
{
	struct dma_heap_allocation_data data = {
		.len = PAGE, .fd_flags = O_RDWR, .fd = 3,
	};

	EXPECT_EQ(-1, ioctl(self->heap, DMA_HEAP_IOCTL_ALLOC, &data));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(heap, unknown_ioctl)
{
	struct dma_heap_allocation_data data = { .len = PAGE, .fd_flags = O_RDWR };

	EXPECT_EQ(-1, ioctl(self->heap, _IOWR(DMA_HEAP_IOC_MAGIC, 1, data), &data));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(heap, unreadable_argument)
{
	void *none = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, none);
	EXPECT_EQ(-1, ioctl(self->heap, DMA_HEAP_IOCTL_ALLOC, none));
	EXPECT_EQ(EFAULT, errno);
	munmap(none, PAGE);
}

/* The memory is allocated before the descriptor cannot be told. */
TEST_F(heap, unwritable_argument)
{
	struct dma_heap_allocation_data *data;

	data = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, data);
	data->len = MIB;
	data->fd_flags = O_RDWR;
	ASSERT_EQ(0, mprotect(data, PAGE, PROT_READ));
	EXPECT_EQ(-1, ioctl(self->heap, DMA_HEAP_IOCTL_ALLOC, data));
	EXPECT_EQ(EFAULT, errno);
	munmap(data, PAGE);
}

TEST_F(heap, fd_flags)
{
	static const int modes[] = { O_RDONLY, O_WRONLY, O_RDWR };

	for (int i = 0; i < 3; i++) {
		int fd = heap_alloc_flags(self->heap, PAGE, modes[i] | O_CLOEXEC);

		ASSERT_GE(fd, 0);
		EXPECT_EQ(modes[i], fcntl(fd, F_GETFL) & O_ACCMODE);
		EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
		close(fd);
		fd = heap_alloc_flags(self->heap, PAGE, modes[i]);
		ASSERT_GE(fd, 0);
		EXPECT_EQ(0, fcntl(fd, F_GETFD));
		close(fd);
	}
}

/* A length is rounded up to pages, and lseek() tells the size. */
TEST_F(heap, size)
{
	int fd = heap_alloc(self->heap, PAGE + 1);

	ASSERT_GE(fd, 0);
	EXPECT_EQ((off_t)(2 * PAGE), lseek(fd, 0, SEEK_END));
	EXPECT_EQ(self->used + 2, cma_pages("used"));
	close(fd);
}

/* One line for the log at most now and then, which says what is the matter. */
TEST_F(heap, log_is_limited)
{
	char line[1024], want[128];
	int kmsg, lines = 0, dumps = 0;

	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ASSERT_GE(kmsg, 0);
	for (int i = 0; i < 1000; i++)
		EXPECT_ALLOC_ERRNO(ENOMEM, self->size + PAGE, O_RDWR);

	/* All lines since boot: earlier tests may have used up the burst. */
	snprintf(want, sizeof(want), "rcar_cma_heap: %s: no %zu KiB in one piece, ",
		 heap_name(), (self->size + PAGE) / KIB);
	for (;;) {
		ssize_t n = read(kmsg, line, sizeof(line) - 1);

		if (n < 0 && errno == EPIPE)
			continue;
		if (n < 0)
			break;
		line[n] = 0;
		if (strstr(line, want)) {
			unsigned long free_pages, pages;
			char *text = strstr(line, want) + strlen(want);

			lines++;
			ASSERT_EQ(2, sscanf(text, "%lu of %lu pages are free",
					    &free_pages, &pages));
			EXPECT_EQ(self->size / PAGE, pages);
			EXPECT_LE(free_pages, pages);
		}
		dumps += !!strstr(line, "number of available pages");
	}
	close(kmsg);
	EXPECT_GE(lines, 1);
	EXPECT_LE(lines, 40);
	EXPECT_EQ(0, dumps);
}

TEST_F(heap, mmap_out_of_bounds)
{
	int fd = heap_alloc(self->heap, 4 * PAGE);

	ASSERT_GE(fd, 0);
	EXPECT_EQ(MAP_FAILED, map(fd, 5 * PAGE, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, map(fd, PAGE, 4 * PAGE));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, map(fd, 2 * PAGE, 3 * PAGE));
	EXPECT_EQ(EINVAL, errno);
	/* An offset whose sum with the length wraps around. */
	EXPECT_EQ(MAP_FAILED, map(fd, 2 * PAGE, -(off_t)PAGE));
	close(fd);
}

TEST_F(heap, mmap_private)
{
	int fd = heap_alloc(self->heap, PAGE);

	ASSERT_GE(fd, 0);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE, fd, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0));
	EXPECT_EQ(EINVAL, errno);
	close(fd);
}

TEST_F(heap, mmap_read_only_buffer)
{
	int fd = heap_alloc_flags(self->heap, PAGE, O_RDONLY);
	void *mem;

	ASSERT_GE(fd, 0);
	EXPECT_EQ(MAP_FAILED, map(fd, PAGE, 0));
	EXPECT_EQ(EACCES, errno);
	mem = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, mem);
	EXPECT_TRUE(all_zero(mem, PAGE));
	EXPECT_EQ(-1, mprotect(mem, PAGE, PROT_READ | PROT_WRITE));
	EXPECT_EQ(EACCES, errno);
	munmap(mem, PAGE);
	close(fd);
}

TEST_F(heap, mremap_growth)
{
	int fd = heap_alloc(self->heap, 4 * PAGE);
	char *mem;

	ASSERT_GE(fd, 0);
	mem = map(fd, 2 * PAGE, 0);
	ASSERT_NE(MAP_FAILED, (void *)mem);
	fill(mem, 2 * PAGE, 7);
	EXPECT_EQ(MAP_FAILED, mremap(mem, 2 * PAGE, 3 * PAGE, MREMAP_MAYMOVE));
	EXPECT_EQ(EFAULT, errno);

	/* A move is none, and takes the pages along. */
	mem = mremap(mem, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
		     mmap(NULL, 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0));
	ASSERT_NE(MAP_FAILED, (void *)mem);
	EXPECT_TRUE(filled(mem, 2 * PAGE, 7));
	munmap(mem, 2 * PAGE);
	close(fd);
}

TEST_F(heap, mmap_part)
{
	/* Spans the middle of a 2 MiB block, the end of one, and two of them. */
	static const struct { size_t offset, len; } parts[] = {
		{ 0, PAGE },
		{ PAGE, 3 * PAGE },
		{ 2 * MIB - PAGE, 2 * PAGE },
		{ MIB, 4 * MIB },
		{ 5 * MIB, MIB },
		{ 6 * MIB, PAGE },
	};
	const size_t len = 6 * MIB + PAGE;
	int fd = heap_alloc(self->heap, len);
	char *whole, *part;

	ASSERT_GE(fd, 0);
	whole = map(fd, len, 0);
	ASSERT_NE(MAP_FAILED, (void *)whole);
	fill(whole, len, 1000);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		part = map(fd, parts[i].len, parts[i].offset);
		ASSERT_NE(MAP_FAILED, (void *)part);
		EXPECT_TRUE(filled(part, parts[i].len, 1000 + parts[i].offset));
		/* What one mapping writes, the other reads. */
		part[parts[i].len - 1] = 42 + i;
		EXPECT_EQ(42 + i, whole[parts[i].offset + parts[i].len - 1]);
		munmap(part, parts[i].len);
	}
	munmap(whole, len);
	close(fd);
}

TEST_F(heap, munmap_part)
{
	const size_t len = 6 * MIB;
	int fd = heap_alloc(self->heap, len);
	char *mem;

	ASSERT_GE(fd, 0);
	mem = map(fd, len, 0);
	ASSERT_NE(MAP_FAILED, (void *)mem);
	fill(mem, len, 5);
	ASSERT_EQ(0, munmap(mem + MIB, MIB));
	EXPECT_TRUE(filled(mem, MIB, 5));
	EXPECT_TRUE(filled(mem + 2 * MIB, 4 * MIB, 5 + 2 * MIB));
	munmap(mem, len);
	close(fd);
}

/* Page faults of this process so far. */
static long faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt + usage.ru_majflt;
}

/* Pages are there as soon as the mapping is, but for a fault for 2 MiB at once. */
TEST_F(heap, read_takes_few_faults)
{
	int fd = heap_alloc(self->heap, NV12_2160P & -PAGE);
	unsigned long sum = 0;
	long before;
	char *mem;

	ASSERT_GE(fd, 0);
	mem = map(fd, NV12_2160P & -PAGE, 0);
	ASSERT_NE(MAP_FAILED, (void *)mem);
	before = faults();
	for (size_t at = 0; at < (NV12_2160P & -PAGE); at += PAGE)
		sum += *(volatile char *)(mem + at);
	/* Two may be for the stack or this code. */
	EXPECT_LE(faults() - before, 2 + (long)(NV12_2160P / (2 * MIB)));
	EXPECT_EQ(0, sum);
	munmap(mem, NV12_2160P & -PAGE);
	close(fd);
}

/* The largest piece that this process has had of kmalloc(), in a trace. */
static unsigned long largest_kmalloc(char *text)
{
	char *line, *save, *at, pid[16];
	unsigned long largest = 0, size;

	snprintf(pid, sizeof(pid), "-%d ", getpid());
	for (line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		at = strstr(line, "bytes_alloc=");
		if (!at || !strstr(line, pid))
			continue;
		size = strtoul(at + strlen("bytes_alloc="), NULL, 10);
		if (size > largest)
			largest = size;
	}
	return largest;
}

/* What is needed for a buffer does not grow with it. */
TEST_F(heap, no_page_array)
{
	static const char *const events[] = { "kmem/kmalloc", NULL };
	unsigned long largest;
	char *text;
	int fd;

	ASSERT_EQ(0, trace_start(events));
	fd = heap_alloc(self->heap, NV12_2160P);
	text = trace_stop();
	ASSERT_GE(fd, 0);
	ASSERT_NE(NULL, text);
	largest = largest_kmalloc(text);
	free(text);
	/* The dma-buf, at least; a pointer to each page would be 24 KiB. */
	EXPECT_GT(largest, 0);
	EXPECT_LT(largest, PAGE);
	close(fd);
}

TEST_F(heap, fork)
{
	int fd = heap_alloc(self->heap, MIB), status;
	char *mem;
	pid_t pid;

	ASSERT_GE(fd, 0);
	mem = map(fd, MIB, 0);
	ASSERT_NE(MAP_FAILED, (void *)mem);
	fill(mem, MIB, 9);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		bool same = filled(mem, MIB, 9);

		fill(mem, MIB, 11);
		_exit(!same);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_TRUE(filled(mem, MIB, 11));
	munmap(mem, MIB);
	close(fd);
}

TEST_F(heap, mapping_outlives_descriptor)
{
	int fd = heap_alloc(self->heap, MIB);
	void *mem;

	ASSERT_GE(fd, 0);
	mem = map(fd, MIB, 0);
	ASSERT_NE(MAP_FAILED, mem);
	fill(mem, MIB, 13);
	close(fd);
	EXPECT_EQ(self->used + (long)(MIB / PAGE), cma_pages("used"));
	EXPECT_TRUE(filled(mem, MIB, 13));
	munmap(mem, MIB);
	EXPECT_EQ(self->used, cma_pages("used"));
}

TEST_F(heap, descriptor_outlives_allocator)
{
	int pipes[2], fd, status;
	pid_t pid;
	char byte;

	ASSERT_EQ(0, pipe(pipes));
	fd = heap_alloc_flags(self->heap, MIB, O_RDWR);
	ASSERT_GE(fd, 0);
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		void *mem;

		close(pipes[1]);
		/* Returns when the parent has closed everything. */
		if (read(pipes[0], &byte, 1) != 0)
			_exit(1);
		mem = map(fd, MIB, 0);
		_exit(mem == MAP_FAILED || !all_zero(mem, MIB));
	}
	close(fd);
	close(pipes[0]);
	EXPECT_EQ(self->used + (long)(MIB / PAGE), cma_pages("used"));
	close(pipes[1]);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

/* The payload is one byte, a message of none would be the end of the stream. */
static int send_fd(int socket, int fd)
{
	char control[CMSG_SPACE(sizeof(fd))] = { }, byte = 0;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	return sendmsg(socket, &message, 0) == 1 ? 0 : -1;
}

static int receive_fd(int socket)
{
	int fd = -1;
	char control[CMSG_SPACE(sizeof(fd))], byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *header;

	if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != 1)
		return -1;
	header = CMSG_FIRSTHDR(&message);
	if (header && header->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

/* A process allocates, writes, sends the descriptor to another one and ends. */
TEST_F(heap, descriptor_passed_on)
{
	int sockets[2], fd, status;
	void *mem;
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets));
	pid = fork();
	ASSERT_GE(pid, 0);
	if (!pid) {
		fd = heap_alloc(self->heap, MIB);
		mem = map(fd, MIB, 0);
		if (mem == MAP_FAILED)
			_exit(1);
		fill(mem, MIB, 17);
		_exit(!!send_fd(sockets[1], fd));
	}
	/* Nothing of the sender is left by the time that the message is read. */
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	EXPECT_EQ(self->used + (long)(MIB / PAGE), cma_pages("used"));
	fd = receive_fd(sockets[0]);
	ASSERT_GE(fd, 0);
	mem = map(fd, MIB, 0);
	ASSERT_NE(MAP_FAILED, mem);
	EXPECT_TRUE(filled(mem, MIB, 17));
	munmap(mem, MIB);
	close(fd);
	close(sockets[0]);
	close(sockets[1]);
}

/* The last reference is a message that nobody reads. */
TEST_F(heap, descriptor_in_flight)
{
	int sockets[2], fd;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets));
	fd = heap_alloc(self->heap, MIB);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, send_fd(sockets[1], fd));
	close(fd);
	EXPECT_EQ(self->used + (long)(MIB / PAGE), cma_pages("used"));
	close(sockets[0]);
	close(sockets[1]);
}

/*
 * A buffer of the whole region dirties all of it, so every later buffer is
 * memory that has been used.
 */
TEST_F_TIMEOUT(heap, zeroed, 120)
{
	static const size_t sizes[] = {
		PAGE, 64 * KIB, 2 * MIB - PAGE, 2 * MIB, 2 * MIB + PAGE, NV12_2160P,
	};
	int fd = heap_alloc(self->heap, self->size);
	void *mem;

	ASSERT_GE(fd, 0);
	mem = map(fd, self->size, 0);
	ASSERT_NE(MAP_FAILED, mem);
	EXPECT_TRUE(all_zero(mem, self->size));
	memset(mem, 0xa5, self->size);
	munmap(mem, self->size);
	close(fd);

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t len = (sizes[i] + PAGE - 1) & -PAGE;

		for (int round = 0; round < 3; round++) {
			fd = heap_alloc(self->heap, sizes[i]);
			ASSERT_GE(fd, 0);
			mem = map(fd, len, 0);
			ASSERT_NE(MAP_FAILED, mem);
			EXPECT_TRUE(all_zero(mem, len)) {
				TH_LOG("%zu bytes, round %d", sizes[i], round);
			}
			memset(mem, 0x5a, len);
			munmap(mem, len);
			close(fd);
		}
	}
}

/* Where buffers lie is for the kernel alone to see: in a trace. */
TEST_F(heap, alignment)
{
	static const struct { size_t size, align; } cases[] = {
		{ PAGE, 16 * KIB },
		{ 64 * KIB, 16 * KIB },
		{ 1382400, 16 * KIB },		/* 1280x720, NV12 */
		{ 455 * PAGE, 16 * KIB },	/* 2 MiB would waste over 1/8 */
		{ 456 * PAGE, 2 * MIB },	/* and here less */
		{ 2 * MIB, 2 * MIB },
		{ 3133440, 16 * KIB },		/* 1920x1088, NV12 */
		{ NV12_2160P, 2 * MIB },
		{ 16588800, 2 * MIB },		/* 3840x2160, YUYV */
		{ 64 * MIB, 2 * MIB },
	};
	static const char *const events[] = { "cma/cma_alloc_finish", NULL };
	const size_t n = sizeof(cases) / sizeof(cases[0]);
	char want[64], *text, *line, *save;
	int odd, fds[n];
	size_t i = 0;

	/* The first buffer starts the region, where any alignment is given. */
	odd = heap_alloc(self->heap, PAGE);
	ASSERT_GE(odd, 0);
	ASSERT_EQ(0, trace_start(events));
	for (size_t j = 0; j < n; j++) {
		fds[j] = heap_alloc(self->heap, cases[j].size);
		EXPECT_GE(fds[j], 0);
	}
	text = trace_stop();
	ASSERT_NE(NULL, text);

	snprintf(want, sizeof(want), "cma_alloc_finish: name=%s pfn=", region_name());
	for (line = strtok_r(text, "\n", &save); line;
	     line = strtok_r(NULL, "\n", &save)) {
		char *at = strstr(line, want);
		unsigned long start, end;

		if (!at || i == n)
			continue;
		start = strtoul(at + strlen(want), NULL, 16) * PAGE;
		end = start + cases[i].size;
		EXPECT_EQ(0UL, start % cases[i].align) {
			TH_LOG("%zu bytes at %#lx", cases[i].size, start);
		}
		EXPECT_LE(end, 1UL << 32);
		i++;
	}
	EXPECT_EQ(n, i);
	free(text);
	for (size_t j = 0; j < n; j++)
		close(fds[j]);
	close(odd);
}

static int fill_region(int heap, size_t size, int *fds, int max)
{
	int n;

	for (n = 0; n < max; n++) {
		fds[n] = heap_alloc(heap, size);
		if (fds[n] < 0)
			break;
	}
	return n;
}

/* As many frames as have room, twice. */
/* The memory goes with the last of them, be it the first or the copy. */
TEST_F(heap, dup)
{
	for (int first = 0; first < 2; first++) {
		int fds[2] = { heap_alloc(self->heap, MIB) };
		void *mem;

		ASSERT_GE(fds[0], 0);
		fds[1] = dup(fds[0]);
		ASSERT_GE(fds[1], 0);
		close(fds[first]);
		EXPECT_EQ(self->used + (long)(MIB / PAGE), cma_pages("used"));
		mem = map(fds[!first], MIB, 0);
		ASSERT_NE(MAP_FAILED, mem);
		fill(mem, MIB, first);
		munmap(mem, MIB);
		close(fds[!first]);
		EXPECT_EQ(self->used, cma_pages("used"));
	}
}

TEST_F(heap, exhaustion)
{
	const int max = self->size / NV12_2160P;
	int fds[max + 1], n;

	for (int round = 0; round < 2; round++) {
		n = fill_region(self->heap, NV12_2160P, fds, max + 1);
		EXPECT_EQ(max, n);
		EXPECT_EQ(ENOMEM, errno);
		while (n-- > 0)
			close(fds[n]);
	}
}

TEST_F_TIMEOUT(heap, concurrent, 120)
{
	enum { PROCESSES = 8, ROUNDS = 40 };
	int status;

	for (int p = 0; p < PROCESSES; p++) {
		pid_t pid = fork();

		ASSERT_GE(pid, 0);
		if (pid)
			continue;
		for (int round = 0; round < ROUNDS; round++) {
			size_t len = (1 + (p * 7 + round * 13) % 400) * PAGE;
			int fd = heap_alloc(self->heap, len);
			void *mem = fd < 0 ? MAP_FAILED : map(fd, len, 0);

			if (mem == MAP_FAILED || !all_zero(mem, len))
				_exit(1);
			/* Nobody else's buffer is the same memory. */
			fill(mem, len, p);
			sched_yield();
			if (!filled(mem, len, p))
				_exit(2);
			munmap(mem, len);
			close(fd);
		}
		_exit(0);
	}
	for (int p = 0; p < PROCESSES; p++) {
		ASSERT_GT(wait(&status), 0);
		EXPECT_EQ(0, status);
	}
}

TEST_F(heap, sync_flags)
{
	static const uint64_t bad[] = {
		0, DMA_BUF_SYNC_START, DMA_BUF_SYNC_END, 1 << 3, 1ULL << 63,
		DMA_BUF_SYNC_RW | 1 << 4,
	};
	static const uint64_t good[] = {
		DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ,
		DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ,
		DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW,
		DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW,
	};
	int fd = heap_alloc(self->heap, PAGE);
	struct dma_buf_sync sync;

	ASSERT_GE(fd, 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		sync.flags = bad[i];
		EXPECT_EQ(-1, ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync));
		EXPECT_EQ(EINVAL, errno);
	}
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		sync.flags = good[i];
		EXPECT_EQ(0, ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync));
	}
	close(fd);
}

TEST_HARNESS_MAIN
