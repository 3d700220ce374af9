/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the guest's test programs share: heaps, CMA areas and traces.
 */

#ifndef GUEST_TEST_H
#define GUEST_TEST_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/videodev2.h>

#include "../modules/test_importer.h"

#define PAGE	4096UL
#define KIB	1024UL
#define MIB	(1024 * KIB)

#define TRACEFS	"/sys/kernel/tracing/"

/* The heap under test, and the CMA area of its region. */
static inline const char *heap_name(void)
{
	const char *name = getenv("HEAP");

	return name ? name : "rcar";
}

static inline int heap_open(void)
{
	char path[128];

	snprintf(path, sizeof(path), "/dev/dma_heap/%s", heap_name());
	return open(path, O_RDWR | O_CLOEXEC);
}

/* The heap of this name, which is then that of this process, see heap_name(). */
static inline int heap_open_named(const char *name)
{
	setenv("HEAP", name, 1);
	return heap_open();
}

/* The dma-buf's descriptor, or -1 and errno. */
static inline int heap_alloc_flags(int heap, uint64_t len, uint32_t fd_flags)
{
	struct dma_heap_allocation_data data = {
		.len = len,
		.fd_flags = fd_flags,
	};

	if (ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &data))
		return -1;
	return data.fd;
}

static inline int heap_alloc(int heap, uint64_t len)
{
	return heap_alloc_flags(heap, len, O_RDWR | O_CLOEXEC);
}

static inline long read_number(const char *path)
{
	char text[64];
	ssize_t n;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return -1;
	text[n] = 0;
	return strtol(text, NULL, 0);
}

/* The region of the heap, whose heaps share one CMA area of this name. */
static inline const char *region_name(void)
{
	static char name[64];
	char *suffix;

	snprintf(name, sizeof(name), "%s", heap_name());
	suffix = strstr(name, "-uncached");
	if (suffix)
		*suffix = 0;
	return name;
}

/* A file of the heap's CMA area in debugfs, in pages: "used" or "count". */
static inline long cma_pages(const char *what)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/kernel/debug/cma/%s/%s", region_name(),
		 what);
	return read_number(path);
}

static inline int write_file(const char *path, const char *text)
{
	ssize_t n;
	int fd;

	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = write(fd, text, strlen(text));
	close(fd);
	return n == (ssize_t)strlen(text) ? 0 : -1;
}

/* Start a trace of these events, each as "system/event". */
static inline int trace_start(const char *const *events)
{
	char path[256];

	if (write_file(TRACEFS "tracing_on", "0") ||
	    write_file(TRACEFS "events/enable", "0") ||
	    write_file(TRACEFS "trace", ""))
		return -1;
	for (; *events; events++) {
		snprintf(path, sizeof(path), TRACEFS "events/%s/enable", *events);
		if (write_file(path, "1"))
			return -1;
	}
	return write_file(TRACEFS "tracing_on", "1");
}

/* Stop it and return its text, for free(). */
static inline char *trace_stop(void)
{
	size_t size = 0, room = MIB;
	char *text = malloc(room);
	ssize_t n;
	int fd;

	write_file(TRACEFS "tracing_on", "0");
	fd = open(TRACEFS "trace", O_RDONLY | O_CLOEXEC);
	if (fd < 0 || !text) {
		free(text);
		return NULL;
	}
	while ((n = read(fd, text + size, room - size - 1)) > 0) {
		size += n;
		if (room - size < 64 * KIB) {
			char *more = realloc(text, room * 2);

			if (!more)
				break;
			text = more;
			room *= 2;
		}
	}
	text[size] = 0;
	close(fd);
	write_file(TRACEFS "events/enable", "0");
	return text;
}

static inline int sync_buffer(int fd, uint64_t flags)
{
	struct dma_buf_sync sync = { .flags = flags };

	return ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync);
}

/* The nth vivid node that captures, counted from 0, or -1. */
static inline int vivid_open(int nth)
{
	struct v4l2_capability cap;
	char path[32];
	int fd;

	for (int i = 0; i < 64; i++) {
		snprintf(path, sizeof(path), "/dev/video%d", i);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			continue;
		if (!ioctl(fd, VIDIOC_QUERYCAP, &cap) &&
		    !strcmp((char *)cap.driver, "vivid") &&
		    cap.device_caps & V4L2_CAP_VIDEO_CAPTURE && !nth--)
			return fd;
		close(fd);
	}
	return -1;
}

static inline int vivid_buffers(int camera, int count)
{
	struct v4l2_requestbuffers request = {
		.count = count,
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
		.memory = V4L2_MEMORY_DMABUF,
	};

	return ioctl(camera, VIDIOC_REQBUFS, &request);
}

/* Queue a buffer, which attaches and maps it. */
static inline int vivid_queue(int camera, int fd, size_t size)
{
	struct v4l2_buffer buffer = {
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
		.memory = V4L2_MEMORY_DMABUF,
		.m.fd = fd,
		.length = size,
	};

	return ioctl(camera, VIDIOC_QBUF, &buffer);
}

/* Size of a frame in whole pages, or 0. */
static inline size_t vivid_frame_size(int camera)
{
	struct v4l2_format format = { .type = V4L2_BUF_TYPE_VIDEO_CAPTURE };

	if (ioctl(camera, VIDIOC_G_FMT, &format))
		return 0;
	return (format.fmt.pix.sizeimage + PAGE - 1) & -PAGE;
}

/* Load one of guest/modules. */
static inline int module_load(const char *name)
{
	char path[64];
	int fd, ret;

	snprintf(path, sizeof(path), "/mnt/modules/%s.ko", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ret = syscall(SYS_finit_module, fd, "", 0);
	close(fd);
	return ret;
}

/* A device of the test importer, whose module is loaded if need be, or -1. */
static inline int importer_open(void)
{
	if (access("/dev/test_importer", F_OK) && module_load("test_importer"))
		return -1;
	return open("/dev/test_importer", O_RDWR | O_CLOEXEC);
}

/* Count the cache operations of CPU accesses from here on. */
static inline int operations_start(void)
{
	static const char *const events[] = {
		"dma/dma_sync_single_for_cpu", "dma/dma_sync_single_for_device",
		"dma/dma_sync_sg_for_cpu", "dma/dma_sync_sg_for_device", NULL,
	};

	return trace_start(events);
}

/* How many there were up to here, or -1. */
static inline int operations_stop(void)
{
	char *text = trace_stop(), *at;
	int n = 0;

	if (!text)
		return -1;
	for (at = text; (at = strstr(at, ": dma_sync_s")); at++)
		n++;
	free(text);
	return n;
}

/* How many a CPU access of both directions takes, or -1. */
static inline int operations_of_access(int fd)
{
	if (operations_start() ||
	    sync_buffer(fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW) ||
	    sync_buffer(fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW))
		return -1;
	return operations_stop();
}

#endif /* GUEST_TEST_H */
