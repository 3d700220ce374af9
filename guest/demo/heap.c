// SPDX-License-Identifier: GPL-2.0
/* Buffers from a dma-buf heap, and what /proc and debugfs say of them. */

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/dma-heap.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "demo.h"

#define HEAPS	"/dev/dma_heap"
#define BUFINFO	"/sys/kernel/debug/dma_buf/bufinfo"

static void no_heap(const char *path)
{
	int err = errno;
	DIR *dir = opendir(HEAPS);
	struct dirent *e;

	while (dir && (e = readdir(dir)))
		if (e->d_name[0] != '.')
			progress("there is a heap called %s", e->d_name);
	fail("%s: %s", path, strerror(err));
}

void heap_alloc(struct buffer *buf, size_t size)
{
	struct dma_heap_allocation_data data = {
		.len = size,
		.fd_flags = O_RDWR | O_CLOEXEC,
	};
	static int heap = -1;
	char path[128];

	snprintf(path, sizeof(path), HEAPS "/%s", opt.heap);
	if (heap < 0)
		heap = open(path, O_RDWR | O_CLOEXEC);
	if (heap < 0)
		no_heap(path);
	if (ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &data))
		fail_errno("%s: a buffer of %zu bytes", path, size);
	*buf = (struct buffer) {
		.fd = data.fd,
		.size = size,
		.ino = inode_of(data.fd),
	};
}

void heap_free(struct buffer *buf)
{
	close(buf->fd);
	buf->fd = -1;
}

uint64_t inode_of(int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		fail_errno("fstat of dma-buf fd %d", fd);
	return st.st_ino;
}

/*
 * An entry is a line with size, flags, mode, count, exporter, inode and name,
 * and below a headline one indented line for each attached device.
 */
void attachments_read(struct buffer *buf)
{
	FILE *f = fopen(BUFINFO, "re");
	bool mine = false, devices = false, found = false;
	unsigned int n = 0;
	char line[512];

	if (!f)
		fail_errno(BUFINFO " (debugfs mounted, CONFIG_DEBUG_FS set?)");
	memset(buf->attached, 0, sizeof(buf->attached));
	while (fgets(line, sizeof(line), f)) {
		uint64_t ino;

		if (sscanf(line, "%*u %*x %*x %*d %*s %" SCNu64, &ino) == 1) {
			mine = ino == buf->ino;
			found |= mine;
			devices = false;
		} else if (strstr(line, "Attached Devices:")) {
			devices = mine;
		} else if (strncmp(line, "Total ", 6) == 0) {
			devices = false;
		} else if (devices && n < NAMES_MAX &&
			   sscanf(line, " %31s", buf->attached[n]) == 1) {
			n++;
		}
	}
	fclose(f);
	if (!found)
		fail(BUFINFO " does not list inode %" PRIu64, buf->ino);
}

bool attached_to(const struct buffer *buf, const char *driver)
{
	unsigned int i;

	for (i = 0; i < NAMES_MAX; i++)
		if (strncmp(buf->attached[i], driver, strlen(driver)) == 0)
			return true;
	return false;
}

unsigned int dmabufs_mapped(const char *pid)
{
	char path[64], line[512];
	unsigned int seen = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/maps", pid);
	f = fopen(path, "re");
	if (!f)
		fail_errno("%s", path);
	while (fgets(line, sizeof(line), f))
		if (strstr(line, " /dmabuf:"))
			seen++;
	fclose(f);
	return seen;
}

static size_t status_kib(const char *key)
{
	FILE *f = fopen("/proc/self/status", "re");
	size_t kib = 0, len = strlen(key);
	char line[256];

	if (!f)
		fail_errno("/proc/self/status");
	while (fgets(line, sizeof(line), f))
		if (strncmp(line, key, len) == 0)
			sscanf(line + len, ": %zu", &kib);
	fclose(f);
	if (!kib)
		fail("/proc/self/status has no %s", key);
	return kib * 1024;
}

size_t address_space_peak(void)
{
	return status_kib("VmPeak");
}

size_t address_space_size(void)
{
	return status_kib("VmSize");
}
