// SPDX-License-Identifier: GPL-2.0
/*
 * To be preloaded: has a program that exports V4L2 buffers to test their import get
 * memory of a dma-buf heap instead, so that the program need not know of heaps.
 *
 *	LD_PRELOAD=expbuf.so EXPBUF_HEAP=/dev/dma_heap/rcar v4l2-compliance ...
 *
 * With EXPBUF_LOG a line for each goes to that file.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/dma-heap.h>
#include <linux/videodev2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int real_ioctl(int fd, unsigned long request, void *arg)
{
	return syscall(SYS_ioctl, fd, request, arg);
}

/* The size of the buffer that was to be exported, 0 if there is none. */
static unsigned int size_of(int fd, const struct v4l2_exportbuffer *exp)
{
	struct v4l2_plane planes[VIDEO_MAX_PLANES] = {};
	struct v4l2_buffer buffer = { .type = exp->type, .index = exp->index };

	if (V4L2_TYPE_IS_MULTIPLANAR(exp->type)) {
		buffer.m.planes = planes;
		buffer.length = VIDEO_MAX_PLANES;
	}
	if (real_ioctl(fd, VIDIOC_QUERYBUF, &buffer))
		return 0;
	return V4L2_TYPE_IS_MULTIPLANAR(exp->type) ? planes[exp->plane].length : buffer.length;
}

static int replace(int fd, struct v4l2_exportbuffer *exp, const char *path)
{
	struct dma_heap_allocation_data data = {
		.len = size_of(fd, exp), .fd_flags = O_RDWR | O_CLOEXEC,
	};
	const char *log = getenv("EXPBUF_LOG");
	int heap, ret;

	exp->fd = -1;
	if (!data.len) {
		errno = ENODEV;
		return -1;
	}
	heap = open(path, O_RDWR | O_CLOEXEC);
	if (heap < 0)
		return -1;
	ret = real_ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &data);
	close(heap);
	if (ret)
		return -1;
	exp->fd = data.fd;
	if (log) {
		FILE *file = fopen(log, "a");

		if (file) {
			fprintf(file, "%s %llu\n", path, (unsigned long long)data.len);
			fclose(file);
		}
	}
	return 0;
}

int ioctl(int fd, unsigned long request, ...)
{
	const char *heap = getenv("EXPBUF_HEAP");
	struct v4l2_exportbuffer *exp;
	va_list list;
	void *arg;
	int ret;

	va_start(list, request);
	arg = va_arg(list, void *);
	va_end(list);

	exp = arg;
	if (request != VIDIOC_EXPBUF || !heap)
		return real_ioctl(fd, request, arg);
	/* Calls with something wrong are for the device to refuse. */
	ret = real_ioctl(fd, request, arg);
	if (ret)
		return ret;
	close(exp->fd);
	return replace(fd, exp, heap);
}
