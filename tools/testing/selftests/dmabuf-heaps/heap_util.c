// SPDX-License-Identifier: GPL-2.0
/*
 * Heaps and their buffers, an importer, and what it is given.
 */

#include <sched.h>
#include <signal.h>
#include <time.h>
#include <sys/stat.h>
#include <linux/videodev2.h>

#include "heap_util.h"

/**
 * page_size - size of a page
 *
 * Return: bytes.
 */
size_t page_size(void)
{
	return sysconf(_SC_PAGESIZE);
}

/**
 * count_fds - how many descriptors this process has
 *
 * Return: their number, the one that counting takes included, or -1.
 */
int count_fds(void)
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

/**
 * now_us - a clock that runs on
 *
 * Return: microseconds since some moment.
 */
__u64 now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);

	return now.tv_sec * 1000000ULL + now.tv_nsec / 1000;
}

/**
 * read_text - read a file
 * @path:	its path
 * @text:	where it goes to, with a null byte at the end
 * @room:	size of @text in bytes; what is beyond is left out
 *
 * Return: 0, or -1 and errno.
 */
int read_text(const char *path, char *text, size_t room)
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

static int write_text(const char *path, const char *text)
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

static const char *heap_path(const char *name)
{
	static char path[sizeof(HEAP_DIR) + 1 + NAME_MAX];

	snprintf(path, sizeof(path), "%s/%s", HEAP_DIR, name);

	return path;
}

/**
 * heap_exists - is there a heap of this name
 * @name:	name of its node
 *
 * Return: true if there is, whoever may open it.
 */
bool heap_exists(const char *name)
{
	return !access(heap_path(name), F_OK);
}

/**
 * heap_open - open a heap
 * @name:	name of its node
 *
 * Return: its descriptor, or -1 and errno.
 */
int heap_open(const char *name)
{
	return open(heap_path(name), O_RDWR | O_CLOEXEC);
}

/**
 * heap_is_system - is it a heap of any free pages
 * @name:	name of its node
 *
 * Return: true for those that put buffers together from pages of the system.
 */
bool heap_is_system(const char *name)
{
	return !strcmp(name, "system") || !strcmp(name, "system_cc_shared");
}

/**
 * heap_alloc_flags - allocate a buffer
 * @heap:	the heap's descriptor
 * @len:	bytes
 * @fd_flags:	access mode, and O_CLOEXEC if wanted
 *
 * Return: the dma-buf's descriptor, or -1 and errno.
 */
int heap_alloc_flags(int heap, __u64 len, __u32 fd_flags)
{
	struct dma_heap_allocation_data data = {
		.len = len,
		.fd_flags = fd_flags,
	};

	if (ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &data))
		return -1;

	return data.fd;
}

/**
 * heap_alloc - allocate a buffer to read and write
 * @heap:	the heap's descriptor
 * @len:	bytes
 *
 * Return: the dma-buf's descriptor, or -1 and errno.
 */
int heap_alloc(int heap, __u64 len)
{
	return heap_alloc_flags(heap, len, O_RDWR | O_CLOEXEC);
}

/**
 * heap_largest - the largest buffer there is room for
 * @heap:	the heap's descriptor
 * @max:	bytes, halved until it fits
 *
 * Return: bytes, or 0 if there is not even room for a page.
 */
size_t heap_largest(int heap, size_t max)
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

/* How long an allocation takes at least, in us, or -1. */
static int heap_alloc_time(int heap, size_t size)
{
	int i, fd, time, least = INT_MAX;
	__u64 start;

	for (i = 0; i < 3; i++) {
		start = now_us();
		fd = heap_alloc(heap, size);
		time = now_us() - start;
		if (fd < 0)
			return -1;
		close(fd);
		if (time < least)
			least = time;
	}

	return least;
}

/*
 * Kill a process some time after it has started an allocation. Returns 1 if the
 * process did not see its end, 0 if it did, and -1 if there was no such process.
 */
static int heap_kill(int heap, size_t size, unsigned int delay_us)
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
	while (__atomic_load_n(state, __ATOMIC_SEQ_CST) == NOT_YET &&
	       !waitpid(pid, NULL, WNOHANG))
		sched_yield();
	usleep(delay_us);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	last = *state;
	munmap(state, page_size());

	return last == NOT_YET ? -1 : last == ALLOCATES;
}

/**
 * heap_kill_many - kill processes that allocate
 * @heap:	the heap's descriptor
 * @size:	bytes that each asks for
 * @rounds:	how many to kill, the first at the start of its allocation, the
 *		last at the end
 *
 * Return: how many did not see the end of their allocation, or -1.
 */
int heap_kill_many(int heap, size_t size, unsigned int rounds)
{
	int time = heap_alloc_time(heap, size), killed = 0, ret;
	unsigned int i;

	if (time < 0)
		return -1;
	for (i = 0; i < rounds; i++) {
		ret = heap_kill(heap, size, (__u64)time * i / rounds);
		if (ret < 0)
			return -1;
		killed += ret;
	}

	return killed;
}

/**
 * buffer_map - map a buffer to read and write, and to share it
 * @fd:		the dma-buf's descriptor
 * @len:	bytes
 * @offset:	where in the buffer, in bytes
 *
 * Return: the memory, or MAP_FAILED and errno.
 */
void *buffer_map(int fd, size_t len, off_t offset)
{
	return mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, offset);
}

/**
 * buffer_sync - start or end CPU access
 * @fd:		the dma-buf's descriptor
 * @flags:	DMA_BUF_SYNC flags
 *
 * Return: 0, or -1 and errno.
 */
int buffer_sync(int fd, __u64 flags)
{
	struct dma_buf_sync sync = { .flags = flags };

	return ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync);
}

/**
 * fill - give each word of the memory a value of its own
 * @mem:	the memory
 * @len:	its size in bytes, in whole words
 * @seed:	value of the first word, from which the others are counted on
 */
void fill(void *mem, size_t len, __u64 seed)
{
	__u64 *word = mem;
	size_t i;

	for (i = 0; i < len / sizeof(*word); i++)
		word[i] = seed + i;
}

/**
 * filled - does memory hold what fill() wrote
 * @mem:	the memory
 * @len:	its size in bytes, in whole words
 * @seed:	value of the first word
 *
 * Return: true if each word does.
 */
bool filled(const void *mem, size_t len, __u64 seed)
{
	const __u64 *word = mem;
	size_t i;

	for (i = 0; i < len / sizeof(*word); i++)
		if (word[i] != seed + i)
			return false;

	return true;
}

/**
 * all_zero - is memory zeroed
 * @mem:	the memory
 * @len:	its size in bytes, in whole words
 *
 * Reads each word once, as uncached memory is slow.
 *
 * Return: true if it is.
 */
bool all_zero(const void *mem, size_t len)
{
	const __u64 *word = mem;
	__u64 any = 0;
	size_t i;

	for (i = 0; i < len / sizeof(*word); i++)
		any |= word[i];

	return !any;
}

static bool importer_wants_contiguous(const char *bus_info)
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

/**
 * importer_open - open an importer that wants contiguous memory
 *
 * That is the vivid driver with the parameter allocators=1. Its queue of metadata
 * takes buffers of any size. /proc/self/pagemap is no help instead: it leaves out
 * VM_PFNMAP mappings, which those of heaps are.
 *
 * Return: its descriptor, or -1 if there is none.
 */
int importer_open(void)
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

static int importer_buffers(int importer, unsigned int count)
{
	struct v4l2_requestbuffers request = {
		.count = count,
		.type = V4L2_BUF_TYPE_META_CAPTURE,
		.memory = V4L2_MEMORY_DMABUF,
	};

	return ioctl(importer, VIDIOC_REQBUFS, &request);
}

/**
 * importer_map - have a buffer attached and mapped, in place of what was before
 * @importer:	the importer's descriptor
 * @fd:		the dma-buf's descriptor
 * @count:	how often
 *
 * Return: 0, or -1 and errno, which is EFAULT for a buffer in pieces.
 */
int importer_map(int importer, int fd, unsigned int count)
{
	struct v4l2_buffer buffer = {
		.type = V4L2_BUF_TYPE_META_CAPTURE,
		.memory = V4L2_MEMORY_DMABUF,
		.m.fd = fd,
	};

	if (importer_buffers(importer, count))
		return -1;
	for (buffer.index = 0; buffer.index < count; buffer.index++)
		if (ioctl(importer, VIDIOC_QBUF, &buffer))
			return -1;

	return 0;
}

/**
 * importer_unmap - have it let go of what it has mapped, if anything
 * @importer:	the importer's descriptor
 */
void importer_unmap(int importer)
{
	importer_buffers(importer, 0);
}

/* What this process maps for DMA, traced in an instance of its own. */
static char trace_dir[64];

static const char *trace_file(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", trace_dir, name);

	return path;
}

/**
 * trace_start - trace what this process maps for DMA
 *
 * Return: 0, or -1 if tracing is not possible.
 */
int trace_start(void)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", getpid());
	snprintf(trace_dir, sizeof(trace_dir),
		 "/sys/kernel/tracing/instances/dmabuf-heap-%s", pid);
	if (mkdir(trace_dir, 0700)) {
		trace_dir[0] = 0;
		return -1;
	}
	if (write_text(trace_file("set_event_pid"), pid) ||
	    write_text(trace_file("events/dma/dma_map_sg/enable"), "1")) {
		trace_stop();
		return -1;
	}

	return 0;
}

/**
 * trace_stop - end the trace, if there is one
 */
void trace_stop(void)
{
	if (trace_dir[0])
		rmdir(trace_dir);
	trace_dir[0] = 0;
}

/**
 * trace_mapping - have a buffer mapped, and see how
 * @importer:	the importer's descriptor
 * @fd:		the dma-buf's descriptor
 * @mapping:	where that goes to
 *
 * trace_start() comes first.
 *
 * Return: 0, or -1.
 */
int trace_mapping(int importer, int fd, struct mapping *mapping)
{
	char text[64 * KIB], *event, *entries, *size, *start;
	int ret;

	if (write_text(trace_file("trace"), ""))
		return -1;
	ret = importer_map(importer, fd, 1);
	importer_unmap(importer);
	if (ret || read_text(trace_file("trace"), text, sizeof(text)))
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
