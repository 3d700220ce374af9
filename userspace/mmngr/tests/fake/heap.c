// SPDX-License-Identifier: MIT
/*
 * The heaps without a kernel that has them, for programs that are linked with
 * --wrap=open,--wrap=ioctl. A dma-buf is a memfd. What the kernel would refuse in the
 * arguments is refused here.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/dma-buf.h>
#include <linux/dma-heap.h>

#include "fake.h"

int __real_open(const char *path, int flags, ...);
int __real_ioctl(int fd, unsigned long request, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_ioctl(int fd, unsigned long request, ...);

/* Name of a memfd, "" of anything else */
static const char *name_of(int fd)
{
	static const char prefix[] = "/memfd:";
	static char name[64];
	char path[32], *end;
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	len = readlink(path, name, sizeof(name) - 1);
	name[len < 0 ? 0 : len] = '\0';
	if (strncmp(name, prefix, strlen(prefix)))
		return "";

	end = strstr(name, " (deleted)");
	if (end)
		*end = '\0';

	return name + strlen(prefix);
}

static int fail(int error)
{
	errno = error;

	return -1;
}

int __wrap_open(const char *path, int flags, ...)
{
	static const char dir[] = "/dev/dma_heap/";
	mode_t mode = 0;
	va_list args;

	if (flags & (O_CREAT | O_TMPFILE)) {
		va_start(args, flags);
		mode = va_arg(args, mode_t);
		va_end(args);
	}

	if (strncmp(path, dir, strlen(dir)))
		return __real_open(path, flags, mode);

	if (fake_node_error())
		return fail(fake_node_error());

	path += strlen(dir);
	if (!strcmp(path, "rcar"))
		return memfd_create("heap:rcar", flags & O_CLOEXEC ? MFD_CLOEXEC : 0);
	if (!strcmp(path, "rcar-uncached"))
		return memfd_create("heap:rcar-uncached",
				    flags & O_CLOEXEC ? MFD_CLOEXEC : 0);

	return fail(ENOENT);
}

static int heap_alloc(const char *heap, struct dma_heap_allocation_data *data)
{
	__u64 size = (data->len + PAGE - 1) & ~(PAGE - 1);
	int fd;

	if (data->fd || data->heap_flags ||
	    data->fd_flags & ~(O_CLOEXEC | O_ACCMODE) || !data->len)
		return fail(EINVAL);
	if (size > REGION || size < data->len)
		return fail(ENOMEM);

	fd = memfd_create("dmabuf", data->fd_flags & O_CLOEXEC ? MFD_CLOEXEC : 0);
	if (fd < 0)
		return -1;
	if (ftruncate(fd, size)) {
		close(fd);
		return fail(ENOMEM);
	}

	data->fd = fd;
	fake_log("alloc %s %llu\n", heap, (unsigned long long)size);

	return 0;
}

static int buffer_sync(const struct dma_buf_sync *sync)
{
	__u64 access = sync->flags & DMA_BUF_SYNC_RW;

	if (sync->flags & ~DMA_BUF_SYNC_VALID_FLAGS_MASK || !access)
		return fail(EINVAL);

	fake_log("sync %s %s\n", sync->flags & DMA_BUF_SYNC_END ? "end" : "start",
		 access == DMA_BUF_SYNC_RW ? "rw" :
		 access == DMA_BUF_SYNC_READ ? "read" : "write");

	return 0;
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	static const char heap[] = "heap:";
	const char *name = name_of(fd);
	void *arg;
	va_list args;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);

	if (request == DMA_HEAP_IOCTL_ALLOC && !strncmp(name, heap, strlen(heap)))
		return heap_alloc(name + strlen(heap), arg);
	if (request == DMA_BUF_IOCTL_SYNC && !strcmp(name, "dmabuf"))
		return buffer_sync(arg);

	return __real_ioctl(fd, request, arg);
}
