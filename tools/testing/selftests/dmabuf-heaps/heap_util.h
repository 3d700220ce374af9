/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Shared by the tests of dma-buf heaps that use the kselftest harness: heaps and
 * their buffers, an importer, and what it is given.
 */

#ifndef HEAP_UTIL_H
#define HEAP_UTIL_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/videodev2.h>

#include "kselftest_harness.h"

#define HEAP_DIR	"/dev/dma_heap"
#define KIB		1024UL
#define MIB		(1024 * KIB)

static inline size_t page_size(void)
{
	return sysconf(_SC_PAGESIZE);
}

/*
 * Which heaps there are is known at run time only. Run the tests of a fixture
 * over one more heap, as a variant that has the heap's name, so that all heaps
 * are in one plan and -v selects a heap. The fixture's variants are a name.
 */
static inline void heap_add_run(struct __fixture_metadata *fixture,
				const char *name)
{
	struct __fixture_variant_metadata *run = calloc(1, sizeof(*run));
	char *copy = calloc(1, NAME_MAX + 1);

	if (!run || !copy)
		ksft_exit_fail_msg("out of memory\n");

	snprintf(copy, NAME_MAX + 1, "%s", name);
	run->name = copy;
	run->data = copy;
	__register_fixture_variant(fixture, run);
}

static inline int heap_open(const char *name)
{
	char path[sizeof(HEAP_DIR) + 1 + NAME_MAX];

	snprintf(path, sizeof(path), "%s/%s", HEAP_DIR, name);

	return open(path, O_RDWR | O_CLOEXEC);
}

/* These heaps put buffers together from any free pages of the system. */
static inline bool heap_is_system(const char *name)
{
	return !strcmp(name, "system") || !strcmp(name, "system_cc_shared");
}

/* The dma-buf's descriptor, or -1 and errno. */
static inline int heap_alloc_flags(int heap, __u64 len, __u32 fd_flags)
{
	struct dma_heap_allocation_data data = {
		.len = len,
		.fd_flags = fd_flags,
	};

	if (ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &data))
		return -1;

	return data.fd;
}

static inline int heap_alloc(int heap, __u64 len)
{
	return heap_alloc_flags(heap, len, O_RDWR | O_CLOEXEC);
}

/* The largest buffer there is room for, @max halved until it fits, or 0. */
static inline size_t heap_largest(int heap, size_t max)
{
	size_t size;
	int fd;

	for (size = max; size >= page_size(); size /= 2) {
		fd = heap_alloc(heap, size);
		if (fd >= 0) {
			close(fd);
			return size;
		}
	}

	return 0;
}

static inline void *buffer_map(int fd, size_t len, off_t offset)
{
	return mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);
}

static inline int buffer_sync(int fd, __u64 flags)
{
	struct dma_buf_sync sync = { .flags = flags };

	return ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync);
}

/* Each word of the memory gets a value of its own, counted from @seed. */
static inline void fill(void *mem, size_t len, __u64 seed)
{
	__u64 *word = mem;
	size_t i;

	for (i = 0; i < len / sizeof(*word); i++)
		word[i] = seed + i;
}

static inline bool filled(const void *mem, size_t len, __u64 seed)
{
	const __u64 *word = mem;
	size_t i;

	for (i = 0; i < len / sizeof(*word); i++)
		if (word[i] != seed + i)
			return false;

	return true;
}

/* Reads all of it, once, as uncached memory is slow; @len is whole pages. */
static inline bool all_zero(const void *mem, size_t len)
{
	const __u64 *word = mem;
	__u64 any = 0;
	size_t i;

	for (i = 0; i < len / sizeof(*word); i++)
		any |= word[i];

	return !any;
}

static inline int count_fds(void)
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

static inline unsigned int now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);

	return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* How long an allocation takes at least, in us. */
static inline unsigned int heap_alloc_time(int heap, size_t size)
{
	unsigned int start, time, least = UINT_MAX;
	int i;

	for (i = 0; i < 3; i++) {
		start = now_us();
		close(heap_alloc(heap, size));
		time = now_us() - start;
		if (time < least)
			least = time;
	}

	return least;
}

/*
 * Kill a process some time after it has started an allocation. Returns 1 if that
 * never came to an end, 0 if it had, and -1 if there was no such process.
 */
static inline int heap_kill(int heap, size_t size, unsigned int delay_us)
{
	enum { NOT_YET, ALLOCATES, DONE };
	int *state, last;
	pid_t pid;

	state = mmap(NULL, page_size(), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (state == MAP_FAILED)
		return -1;
	pid = fork();
	if (pid < 0) {
		munmap(state, page_size());
		return -1;
	}
	if (!pid) {
		__atomic_store_n(state, ALLOCATES, __ATOMIC_SEQ_CST);
		heap_alloc(heap, size);
		__atomic_store_n(state, DONE, __ATOMIC_SEQ_CST);
		pause();
		_exit(0);
	}
	while (__atomic_load_n(state, __ATOMIC_SEQ_CST) == NOT_YET)
		sched_yield();
	usleep(delay_us);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	last = *state;
	munmap(state, page_size());

	return last == ALLOCATES;
}

/*
 * Kill allocations, the first at their start, the last at their end. Returns how
 * many were on their way, or -1.
 */
static inline int heap_kill_many(int heap, size_t size, unsigned int rounds)
{
	unsigned int i, time = heap_alloc_time(heap, size);
	int killed = 0, ret;

	for (i = 0; i < rounds; i++) {
		ret = heap_kill(heap, size, (__u64)time * i / rounds);
		if (ret < 0)
			return -1;
		killed += ret;
	}

	return killed;
}

static inline int read_text(const char *path, char *text, size_t room)
{
	size_t size = 0;
	ssize_t n;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	while ((n = read(fd, text + size, room - size - 1)) > 0)
		size += n;
	text[size] = 0;
	close(fd);

	return n < 0 ? -1 : 0;
}

static inline int write_text(const char *path, const char *text)
{
	size_t len = strlen(text);
	ssize_t n;
	int fd;

	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = write(fd, text, len);
	close(fd);

	return n == (ssize_t)len ? 0 : -1;
}

/*
 * An importer that wants contiguous memory: the vivid driver with the parameter
 * allocators=1. Its queue of metadata takes buffers of any size.
 *
 * /proc/self/pagemap is no help: it leaves out VM_PFNMAP mappings, which those of
 * heaps are.
 */
static inline bool importer_wants_contiguous(const char *bus_info)
{
	char text[256], *value = text;
	unsigned int nth;

	if (sscanf(bus_info, "platform:vivid-%u", &nth) != 1 ||
	    read_text("/sys/module/vivid/parameters/allocators", text,
		      sizeof(text)))
		return false;

	while (nth-- && value)
		value = strchr(value + 1, ',');

	return value && atoi(value + (*value == ',')) == 1;
}

/* Returns the importer's descriptor, or -1. */
static inline int importer_open(void)
{
	struct v4l2_capability cap;
	char path[32];
	int fd, i;

	for (i = 0; i < 64; i++) {
		snprintf(path, sizeof(path), "/dev/video%d", i);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (!ioctl(fd, VIDIOC_QUERYCAP, &cap) &&
		    !strcmp((char *)cap.driver, "vivid") &&
		    cap.device_caps & V4L2_CAP_META_CAPTURE &&
		    importer_wants_contiguous((char *)cap.bus_info))
			return fd;
		close(fd);
	}

	return -1;
}

#define NO_IMPORTER	"no vivid with allocators=1, to import into"

static inline int importer_buffers(int importer, unsigned int count)
{
	struct v4l2_requestbuffers request = {
		.count = count,
		.type = V4L2_BUF_TYPE_META_CAPTURE,
		.memory = V4L2_MEMORY_DMABUF,
	};

	return ioctl(importer, VIDIOC_REQBUFS, &request);
}

/* Queue a dma-buf, which attaches and maps it. -1 and EFAULT: it is in pieces. */
static inline int importer_map(int importer, int fd)
{
	struct v4l2_buffer buffer = {
		.type = V4L2_BUF_TYPE_META_CAPTURE,
		.memory = V4L2_MEMORY_DMABUF,
		.m.fd = fd,
	};

	if (importer_buffers(importer, 1))
		return -1;

	return ioctl(importer, VIDIOC_QBUF, &buffer);
}

static inline void importer_unmap(int importer)
{
	importer_buffers(importer, 0);
}

/* What this process maps for DMA, traced in an instance of its own. */
#define TRACE_DIR	"/sys/kernel/tracing/instances/dmabuf-heap-test"
#define NO_TRACE	"no events in /sys/kernel/tracing, to see addresses by"

static inline void trace_stop(void)
{
	rmdir(TRACE_DIR);
}

static inline int trace_start(void)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", getpid());
	if (mkdir(TRACE_DIR, 0700) && errno != EEXIST)
		return -1;
	if (write_text(TRACE_DIR "/set_event_pid", pid) ||
	    write_text(TRACE_DIR "/events/dma/dma_map_sg/enable", "1")) {
		trace_stop();
		return -1;
	}

	return 0;
}

/* A scatterlist: how many entries it has, and where the first one is. */
struct mapping {
	unsigned int entries;
	__u64 start;
	__u64 size;
};

/* Have a dma-buf mapped by the importer and read from the trace how it was. */
static inline int trace_mapping(int importer, int fd, struct mapping *mapping)
{
	char text[64 * KIB], *event, *entries, *size, *start;
	int ret;

	if (write_text(TRACE_DIR "/trace", ""))
		return -1;
	ret = importer_map(importer, fd);
	importer_unmap(importer);
	if (ret || read_text(TRACE_DIR "/trace", text, sizeof(text)))
		return -1;

	event = strstr(text, " dma_map_sg: ");
	if (!event)
		return -1;
	entries = strstr(event, " nents=");
	size = strstr(event, " sizes={");
	start = strstr(event, " phys_addrs={");
	if (!entries || !size || !start ||
	    sscanf(entries, " nents=%*u/%u", &mapping->entries) != 1)
		return -1;
	mapping->size = strtoull(size + strlen(" sizes={"), NULL, 16);
	mapping->start = strtoull(start + strlen(" phys_addrs={"), NULL, 16);

	return 0;
}

#endif /* HEAP_UTIL_H */
