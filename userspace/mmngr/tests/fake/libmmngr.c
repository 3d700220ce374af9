// SPDX-License-Identifier: MIT
/*
 * libmmngr and libmmngrbuf without a driver: memory is in memfds, and addresses are
 * numbers that count up. Results are those of the real ones. Only whole buffers can be
 * mapped and exported by their address: programs that cut them do not run.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fake.h"
#include "mmngr_user_public.h"
#include "mmngr_buf_user_public.h"

#define MAX 256

/* A piece of memory, and whoever has a descriptor of it as an id */
static struct memory {
	unsigned int hard;
	size_t size;
	ino_t inode;
	int fd;		/* of its own, so that the memory stays */
} memories[MAX];
static unsigned int memory_count, next_hard = 0x58000000;

enum kind { NONE, BUFFER, SHARE, EXPORT, IMPORT };

static struct id {
	enum kind kind;
	void *addr;
	size_t size;
	int buf;
} ids[1024];

static size_t pages(size_t size)
{
	return (size + PAGE - 1) & ~(PAGE - 1);
}

/* The own descriptors are out of the way, for programs count what they have open. */
static struct memory *remember(int fd, size_t size)
{
	struct memory *memory = &memories[memory_count++];
	struct stat stat;

	if (memory_count > MAX || fstat(fd, &stat))
		abort();

	memory->hard = next_hard;
	memory->size = pages(size);
	memory->inode = stat.st_ino;
	memory->fd = fcntl(fd, F_DUPFD_CLOEXEC, 512);
	next_hard += memory->size;

	return memory;
}

static struct memory *by_address(unsigned long hard)
{
	unsigned int i;

	for (i = 0; i < memory_count; i++)
		if (memories[i].hard == hard)
			return &memories[i];

	return NULL;
}

static struct memory *by_descriptor(int fd)
{
	struct stat stat;
	unsigned int i;

	if (fstat(fd, &stat))
		return NULL;

	for (i = 0; i < memory_count; i++)
		if (memories[i].inode == stat.st_ino)
			return &memories[i];

	return remember(fd, stat.st_size);
}

static struct id *get(int id, enum kind kind)
{
	if (id < 0 || id >= (int)(sizeof(ids) / sizeof(ids[0])) ||
	    ids[id].kind != kind)
		return NULL;

	return &ids[id];
}

static void put(int id)
{
	if (ids[id].addr)
		munmap(ids[id].addr, ids[id].size);
	ids[id] = (struct id){ 0 };
	close(id);
}

static int node(void)
{
	int error = fake_node_error();

	if (error) {
		errno = error;
		return -1;
	}

	return open("/dev/null", O_RDWR);
}

int mmngr_alloc_in_user_ext(MMNGR_ID *id, size_t size, unsigned int *hard,
			    void **addr, unsigned int flag, void *param)
{
	int fd, carveout = flag == MM_CARVEOUT;
	void *map;

	(void)param;
	if (!id || !hard || !addr || !size)
		return R_MM_PARE;
	if (flag != MM_KERNELHEAP && flag != MM_KERNELHEAP_CACHED && !carveout)
		return R_MM_PARE;

	fd = node();
	if (fd < 0)
		return R_MM_FATAL;
	close(fd);
	if (size > REGION)
		return R_MM_NOMEM;

	fd = memfd_create("dmabuf", 0);
	if (fd < 0 || ftruncate(fd, pages(size)))
		return R_MM_FATAL;

	map = mmap(NULL, pages(size), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return R_MM_FATAL;
	if (carveout) { /* what its last owner left */
		memset(map, 0xa5, pages(size));
		munmap(map, pages(size));
		map = NULL;
	}

	ids[fd] = (struct id){ BUFFER, map, pages(size), -1 };
	*id = fd;
	*hard = remember(fd, size)->hard;
	*addr = map;
	fake_log("alloc flag %u size %zu\n", flag, pages(size));

	return R_MM_OK;
}

int mmngr_free_in_user_ext(MMNGR_ID id)
{
	if (!get(id, BUFFER))
		return R_MM_SEQE;

	put(id);

	return R_MM_OK;
}

int mmngr_share_in_user_ext(MMNGR_ID *id, size_t size, unsigned int hard,
			    void **addr, void *param)
{
	struct memory *memory = by_address(hard);
	void *map;
	int fd;

	(void)param;
	if (!id || !addr || !size)
		return R_MM_PARE;
	if (!memory)
		return R_MM_FATAL;

	fd = fcntl(memory->fd, F_DUPFD, 0);
	if (fd < 0)
		return R_MM_FATAL;
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return R_MM_FATAL;

	ids[fd] = (struct id){ SHARE, map, size, -1 };
	*id = fd;
	*addr = map;

	return R_MM_OK;
}

int mmngr_release_in_user_ext(MMNGR_ID id)
{
	if (!get(id, SHARE))
		return R_MM_SEQE;

	put(id);

	return R_MM_OK;
}

int mmngr_alloc_in_user(MMNGR_ID *id, unsigned long size, unsigned long *phy,
			unsigned long *hard, unsigned long *addr,
			unsigned long flag)
{
	unsigned int hard32 = 0;
	void *map = NULL;
	int ret;

	ret = mmngr_alloc_in_user_ext(id, size, &hard32, &map, flag, NULL);
	*phy = -1UL;
	*hard = hard32;
	*addr = (unsigned long)map;

	return ret;
}

int mmngr_free_in_user(MMNGR_ID id)
{
	return mmngr_free_in_user_ext(id);
}

int mmngr_share_in_user(MMNGR_ID *id, unsigned long size, unsigned long hard,
			unsigned long *addr)
{
	void *map = NULL;
	int ret = mmngr_share_in_user_ext(id, size, hard, &map, NULL);

	*addr = (unsigned long)map;

	return ret;
}

int mmngr_release_in_user(MMNGR_ID id)
{
	return mmngr_release_in_user_ext(id);
}

int mmngr_flush(MMNGR_ID id, size_t offset, size_t len)
{
	(void)offset;
	(void)len;
	fake_log("flush\n");

	return get(id, BUFFER) ? R_MM_OK : R_MM_FATAL;
}

int mmngr_inval(MMNGR_ID id, size_t offset, size_t len)
{
	(void)offset;
	(void)len;
	fake_log("inval\n");

	return get(id, BUFFER) ? R_MM_OK : R_MM_FATAL;
}

int mmngr_export_start_in_user_ext(int *id, size_t size, unsigned int hard,
				   int *buf, void *param)
{
	struct memory *memory = by_address(hard);
	int fd;

	(void)param;
	if (!id || !buf || !size)
		return R_MM_PARE;

	fd = node();
	if (fd < 0)
		return R_MM_FATAL;
	if (!memory) {
		close(fd);
		return R_MM_FATAL;
	}

	*buf = fcntl(memory->fd, F_DUPFD, 0);
	ids[fd] = (struct id){ EXPORT, NULL, 0, *buf };
	*id = fd;

	return R_MM_OK;
}

int mmngr_export_end_in_user_ext(int id)
{
	struct id *export = get(id, EXPORT);

	if (!export)
		return R_MM_FATAL;

	close(export->buf);
	put(id);

	return R_MM_OK;
}

int mmngr_import_start_in_user_ext(int *id, size_t *size, unsigned int *hard,
				   int buf, void *param)
{
	struct memory *memory;
	int fd;

	(void)param;
	if (!id || !size || !hard)
		return R_MM_PARE;

	fd = node();
	if (fd < 0)
		return R_MM_FATAL;
	memory = by_descriptor(buf);
	if (!memory) {
		close(fd);
		return R_MM_FATAL;
	}

	ids[fd] = (struct id){ IMPORT, NULL, 0, -1 };
	*id = fd;
	*size = memory->size;
	*hard = memory->hard;

	return R_MM_OK;
}

int mmngr_import_end_in_user_ext(int id)
{
	if (!get(id, IMPORT))
		return R_MM_FATAL;

	put(id);

	return R_MM_OK;
}

int mmngr_export_start_in_user(int *id, unsigned long size, unsigned long hard,
			       int *buf)
{
	return mmngr_export_start_in_user_ext(id, size, hard, buf, NULL);
}

int mmngr_export_end_in_user(int id)
{
	return mmngr_export_end_in_user_ext(id);
}

int mmngr_import_start_in_user(int *id, unsigned long *size,
			       unsigned long *hard, int buf)
{
	unsigned int hard32 = 0;
	size_t bytes = 0;
	int ret = mmngr_import_start_in_user_ext(id, &bytes, &hard32, buf, NULL);

	*size = bytes;
	*hard = hard32;

	return ret;
}

int mmngr_import_end_in_user(int id)
{
	return mmngr_import_end_in_user_ext(id);
}
