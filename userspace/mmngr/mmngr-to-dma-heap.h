/* SPDX-License-Identifier: MIT */
/*
 * What libmmngr and libmmngrbuf did, over the dma-buf heaps of R-Car media memory
 *
 * For programs that are ported with mmngr.cocci, which replaces the calls, or by
 * hand. README.md beside it tells what has no replacement, and why.
 *
 * An id is the file descriptor of the dma-buf, so it can be given to V4L2, DRM or
 * another process as it is. There is no physical address anywhere.
 *
 * Results are those of libmmngr, R_MM_OK or a negative R_MM code, since callers
 * compare with 0, with R_MM_OK, and in switch statements with R_MM_NOMEM; none
 * looks at an errno of libmmngr. errno tells more after each failure, and nothing
 * is printed.
 *
 * Compiles as C11 with GNU extensions. Not for C++.
 */
#ifndef MMNGR_TO_DMA_HEAP_H
#define MMNGR_TO_DMA_HEAP_H

#if defined(__MMNGR_USER_PUBLIC_H__) || defined(__MMNGR_BUF_USER_PUBLIC_H__)
#error "mmngr: include mmngr-to-dma-heap.h instead of the headers of libmmngr"
#endif

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/dma-buf.h>
#include <linux/dma-heap.h>

/* A board whose region has another name defines these before it includes this. */
#ifndef RCAR_HEAP_CACHED
#define RCAR_HEAP_CACHED	"/dev/dma_heap/rcar"
#endif
#ifndef RCAR_HEAP_UNCACHED
#define RCAR_HEAP_UNCACHED	"/dev/dma_heap/rcar-uncached"
#endif

typedef int MMNGR_ID;

#define R_MM_OK			0
#define R_MM_FATAL		(-1)
#define R_MM_SEQE		(-2)
#define R_MM_PARE		(-3)
#define R_MM_NOMEM		(-4)

#define MM_KERNELHEAP		0
#define MM_CARVEOUT		1
#define MM_KERNELHEAP_CACHED	5

#define MMNGR_VA_SUPPORT	MM_KERNELHEAP
#define MMNGR_VA_SUPPORT_CACHED	MM_KERNELHEAP_CACHED
#define MMNGR_PA_SUPPORT	MM_CARVEOUT

/*
 * What cannot be ported does not compile. The arguments are what the program had
 * there; they are not evaluated. An assertion, unlike the attribute "error", fails
 * in code that the optimiser drops, too.
 */
#define RCAR_HEAP_UNPORTED(text) \
	((int)(0 * sizeof(struct { int unported; _Static_assert(0, text); })))

#define RCAR_HEAP_NO_ADDRESS(...) \
	RCAR_HEAP_UNPORTED("mmngr: a dma-buf has no physical address: give the driver its file descriptor")
#define RCAR_HEAP_NO_SHARE(...) \
	RCAR_HEAP_UNPORTED("mmngr: nothing maps memory by its address: pass the file descriptor of the dma-buf")
#define RCAR_HEAP_NO_EXPORT(...) \
	RCAR_HEAP_UNPORTED("mmngr: nothing exports memory by its address: allocate a dma-buf for each plane")
#define RCAR_HEAP_NO_LOSSY(...) \
	RCAR_HEAP_UNPORTED("mmngr: there is no heap of lossy memory: allocate without mem_param")
#define RCAR_HEAP_NO_CARVEOUT(...) \
	RCAR_HEAP_UNPORTED("mmngr: there is no heap of SSP or MV memory: MMNGR_PA_SUPPORT is what remains")
#define RCAR_HEAP_NO_RANGE(...) \
	RCAR_HEAP_UNPORTED("mmngr: the whole buffer is invalidated: flush what the CPU wrote elsewhere in it before")
#define RCAR_HEAP_NO_DEVICE(...) \
	((const char *)(size_t)RCAR_HEAP_UNPORTED("mmngr: there is no such device: use the functions of mmngr-to-dma-heap.h"))
#define RCAR_HEAP_NO_FUNCTION(...) \
	((void *)(size_t)RCAR_HEAP_UNPORTED("mmngr: the replacement has other parameters: call it here by its name"))
#define RCAR_HEAP_NO_MACRO(...) \
	RCAR_HEAP_UNPORTED("mmngr: this macro may hide where an address is used: write the call where the macro is used")
#define RCAR_HEAP_NO_NAME(...) \
	((const char *)(size_t)RCAR_HEAP_UNPORTED("mmngr: there is no library to look this up in: call the function of mmngr-to-dma-heap.h"))

/* For the messages below to be the only ones. */
struct MM_FUNC {
	unsigned int func;
	unsigned int type;
	unsigned int attr;
	unsigned int *conf;
};

/* 4 is LOSSY on Gen3 and MV on Gen2. */
#define MM_CARVEOUT_SSP			RCAR_HEAP_NO_CARVEOUT()
#define MM_CARVEOUT_MV			RCAR_HEAP_NO_CARVEOUT()
#define MM_CARVEOUT_LOSSY		RCAR_HEAP_NO_LOSSY()
#define MMNGR_PA_SUPPORT_SSP		RCAR_HEAP_NO_CARVEOUT()
#define MMNGR_PA_SUPPORT_MV		RCAR_HEAP_NO_CARVEOUT()
#define MMNGR_PA_SUPPORT_LOSSY		RCAR_HEAP_NO_LOSSY()
#define MM_FUNC_LOSSY_DISABLE		RCAR_HEAP_NO_LOSSY()
#define MM_FUNC_LOSSY_ENABLE		RCAR_HEAP_NO_LOSSY()
#define MM_FUNC_TYPE_LOSSY_AREA		RCAR_HEAP_NO_LOSSY()
#define MM_FUNC_TYPE_LOSSY_SHADOW	RCAR_HEAP_NO_LOSSY()
#define MM_FUNC_FMT_LOSSY_YUVPLANAR	RCAR_HEAP_NO_LOSSY()
#define MM_FUNC_FMT_LOSSY_YUV422INTLV	RCAR_HEAP_NO_LOSSY()
#define MM_FUNC_FMT_LOSSY_ARGB8888	RCAR_HEAP_NO_LOSSY()
#define MM_FUNC_STAT_LOSSY_NOT_SUPPORT	RCAR_HEAP_NO_LOSSY()
#define MM_FUNC_STAT_LOSSY_SUPPORT	RCAR_HEAP_NO_LOSSY()

/*
 * libmmngr is given nothing but the id to free a buffer or to end an export, and had
 * the kernel remember where the buffer is mapped. Here the process does. Weak, so that the files of a program
 * have one list between them; two shared libraries may have one each, and a
 * buffer is to be freed by the one that allocated it.
 */
struct rcar_heap_buffer {
	struct rcar_heap_buffer *next;
	void *addr;	/* NULL if not mapped */
	size_t size;
	int fd;		/* the id */
	int given;	/* of an export: the other descriptor, which the caller has; or -1 */
};

__attribute__((weak)) pthread_mutex_t rcar_heap_lock = PTHREAD_MUTEX_INITIALIZER;
__attribute__((weak)) struct rcar_heap_buffer *rcar_heap_buffers = NULL;

/*
 * Unlike libmmngr, the functions clear what they would have set, if they fail: there are
 * callers that ignore the result, or look at the address alone.
 */
static inline int rcar_heap_error(int ret, int err)
{
	errno = err;
	return ret;
}

/* Size of a dma-buf, which is what was asked for, rounded up to pages. */
static inline int rcar_heap_size(int fd, size_t *size)
{
	off_t end = lseek(fd, 0, SEEK_END);

	if (end < 0)
		return R_MM_FATAL;

	*size = (size_t)end;

	return R_MM_OK;
}

/* Nobody is told that a buffer is smaller than what was asked for. */
static inline int rcar_heap_check_size(int fd, size_t size)
{
	size_t whole;

	if (rcar_heap_size(fd, &whole))
		return R_MM_FATAL;

	return size <= whole ? R_MM_OK : rcar_heap_error(R_MM_PARE, EINVAL);
}

/* Maps a dma-buf from any source. Bracket what the CPU does, see rcar_heap_begin(). */
static inline int rcar_heap_map(int fd, void **addr)
{
	size_t size;
	void *map;

	if (rcar_heap_size(fd, &size))
		return R_MM_FATAL;

	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return R_MM_FATAL;

	*addr = map;

	return R_MM_OK;
}

static inline void rcar_heap_put(struct rcar_heap_buffer *buffer)
{
	pthread_mutex_lock(&rcar_heap_lock);
	buffer->next = rcar_heap_buffers;
	rcar_heap_buffers = buffer;
	pthread_mutex_unlock(&rcar_heap_lock);
}

/* Takes the buffer or the export with this id from the list. NULL if there is none. */
static inline struct rcar_heap_buffer *rcar_heap_take(int id, int is_export)
{
	struct rcar_heap_buffer **link, *buffer;

	pthread_mutex_lock(&rcar_heap_lock);
	for (link = &rcar_heap_buffers; *link; link = &(*link)->next)
		if ((*link)->fd == id && ((*link)->given >= 0) == is_export)
			break;
	buffer = *link;
	if (buffer)
		*link = buffer->next;
	pthread_mutex_unlock(&rcar_heap_lock);

	return buffer;
}

/* Takes the descriptor over, also on failure. */
static inline int rcar_heap_keep(int fd, int mapped, int *id, void **addr)
{
	struct rcar_heap_buffer *buffer;
	int err;

	buffer = (struct rcar_heap_buffer *)calloc(1, sizeof(*buffer));
	if (!buffer)
		goto err_close;

	buffer->fd = fd;
	buffer->given = -1;
	if (rcar_heap_size(fd, &buffer->size))
		goto err_free;
	if (mapped && rcar_heap_map(fd, &buffer->addr))
		goto err_free;

	rcar_heap_put(buffer);
	*id = fd;
	*addr = buffer->addr;

	return R_MM_OK;

err_free:
	err = errno;
	free(buffer);
	errno = err;
err_close:
	err = errno;
	close(fd);

	return rcar_heap_error(err == ENOMEM ? R_MM_NOMEM : R_MM_FATAL, err);
}

/*
 * mmngr_alloc_in_user_ext(). As there, a carve-out is not mapped. Unlike there, its
 * memory is zeroed.
 */
static inline int rcar_heap_alloc(int *id, size_t size, void **addr,
				  unsigned int flag)
{
	struct dma_heap_allocation_data data = {
		.len = size,
		.fd_flags = O_RDWR | O_CLOEXEC,
	};
	const char *path = RCAR_HEAP_UNCACHED;
	int heap, ret, err;

	if (id)
		*id = -1;
	if (addr)
		*addr = NULL;

	if (!id || !addr || !size)
		return rcar_heap_error(R_MM_PARE, EINVAL);
	if (flag != MM_KERNELHEAP && flag != MM_KERNELHEAP_CACHED &&
	    flag != MM_CARVEOUT)
		return rcar_heap_error(R_MM_PARE, EINVAL);

	if (flag == MM_KERNELHEAP_CACHED)
		path = RCAR_HEAP_CACHED;

	heap = open(path, O_RDWR | O_CLOEXEC);
	if (heap < 0)
		return R_MM_FATAL;

	ret = ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &data);
	err = errno;
	close(heap);
	if (ret < 0)
		return rcar_heap_error(err == ENOMEM ? R_MM_NOMEM : R_MM_FATAL,
				       err);

	return rcar_heap_keep((int)data.fd, flag != MM_CARVEOUT, id, addr);
}

/* mmngr_alloc_in_user(), which has other types. */
static inline int rcar_heap_alloc_gen2(int *id, unsigned long size,
				       unsigned long *addr, unsigned long flag)
{
	void *map = NULL;
	int ret;

	ret = rcar_heap_alloc(id, size, addr ? &map : NULL, (unsigned int)flag);
	if (addr)
		*addr = (unsigned long)map;

	return ret;
}

/*
 * mmngr_free_in_user*() and mmngr_release_in_user*(). The memory stays for whoever
 * else has the dma-buf; with mmngr it was gone.
 */
static inline int rcar_heap_free(int id)
{
	struct rcar_heap_buffer *buffer = rcar_heap_take(id, 0);
	int ret = 0;

	if (!buffer)
		return rcar_heap_error(R_MM_SEQE, EBADF);

	if (buffer->addr)
		ret = munmap(buffer->addr, buffer->size);
	if (close(buffer->fd))
		ret = -1;
	free(buffer);

	return ret ? R_MM_FATAL : R_MM_OK;
}

/*
 * mmngr_share_in_user*(), of memory whose dma-buf is at hand. Another descriptor and
 * another mapping, which rcar_heap_free() ends. It is of the whole buffer, which has to
 * be of this size at least.
 */
static inline int rcar_heap_share(int fd, int *id, size_t size, void **addr)
{
	int copy, ret;

	if (id)
		*id = -1;
	if (addr)
		*addr = NULL;
	if (!id || !addr || !size)
		return rcar_heap_error(R_MM_PARE, EINVAL);
	ret = rcar_heap_check_size(fd, size);
	if (ret)
		return ret;

	copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (copy < 0)
		return R_MM_FATAL;

	return rcar_heap_keep(copy, 1, id, addr);
}

static inline int rcar_heap_share_gen2(int fd, int *id, unsigned long size,
				       unsigned long *addr)
{
	void *map = NULL;
	int ret;

	ret = rcar_heap_share(fd, id, size, addr ? &map : NULL);
	if (addr)
		*addr = (unsigned long)map;

	return ret;
}

/*
 * mmngr_export_start_in_user*(), of the whole buffer, which has to be of this size at
 * least. As with mmngr, the id and the dma-buf are descriptors of their own.
 */
static inline int rcar_heap_export(int id, int *export_id, size_t size, int *fd)
{
	struct rcar_heap_buffer *buffer;
	int err, ret;

	if (export_id)
		*export_id = -1;
	if (fd)
		*fd = -1;
	if (!export_id || !fd || !size)
		return rcar_heap_error(R_MM_PARE, EINVAL);
	ret = rcar_heap_check_size(id, size);
	if (ret)
		return ret;

	buffer = (struct rcar_heap_buffer *)calloc(1, sizeof(*buffer));
	if (!buffer)
		return rcar_heap_error(R_MM_NOMEM, ENOMEM);

	buffer->fd = fcntl(id, F_DUPFD_CLOEXEC, 0);
	if (buffer->fd < 0)
		goto err_free;
	buffer->given = fcntl(id, F_DUPFD_CLOEXEC, 0);
	if (buffer->given < 0)
		goto err_close;

	*export_id = buffer->fd;
	*fd = buffer->given;
	rcar_heap_put(buffer);

	return R_MM_OK;

err_close:
	err = errno;
	close(buffer->fd);
	errno = err;
err_free:
	err = errno;
	free(buffer);

	return rcar_heap_error(R_MM_FATAL, err);
}

/*
 * mmngr_export_end_in_user*(), which closes the dma-buf, too, if nobody has. Whoever was
 * given it may have: its number may be that of another file by now.
 */
static inline int rcar_heap_export_end(int export_id)
{
	struct rcar_heap_buffer *buffer = rcar_heap_take(export_id, 1);
	struct stat ours, given;
	int ret;

	if (!buffer)
		return rcar_heap_error(R_MM_FATAL, EBADF);

	if (!fstat(buffer->fd, &ours) && !fstat(buffer->given, &given) &&
	    ours.st_dev == given.st_dev && ours.st_ino == given.st_ino)
		close(buffer->given);
	ret = close(buffer->fd);
	free(buffer);

	return ret ? R_MM_FATAL : R_MM_OK;
}

/* mmngr_import_start_in_user*(). The address is not there to have. */
static inline int rcar_heap_import(int *import_id, size_t *size, int fd)
{
	int copy;

	if (import_id)
		*import_id = -1;
	if (size)
		*size = 0;
	if (!import_id || !size)
		return rcar_heap_error(R_MM_PARE, EINVAL);

	if (rcar_heap_size(fd, size))
		return R_MM_FATAL;

	copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (copy < 0)
		return R_MM_FATAL;

	*import_id = copy;

	return R_MM_OK;
}

static inline int rcar_heap_import_gen2(int *import_id, unsigned long *size,
					int fd)
{
	size_t bytes = 0;
	int ret;

	ret = rcar_heap_import(import_id, size ? &bytes : NULL, fd);
	if (size)
		*size = bytes;

	return ret;
}

/* mmngr_import_end_in_user*() */
static inline int rcar_heap_import_end(int import_id)
{
	return close(import_id) ? R_MM_FATAL : R_MM_OK;
}

static inline int rcar_heap_sync(int fd, __u64 flags)
{
	struct dma_buf_sync sync = { .flags = flags };
	int ret;

	do
		ret = ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync);
	while (ret < 0 && (errno == EINTR || errno == EAGAIN));

	return ret < 0 ? R_MM_FATAL : R_MM_OK;
}

/*
 * What new code calls before and after the CPU reads (DMA_BUF_SYNC_READ), writes
 * (DMA_BUF_SYNC_WRITE) or both (DMA_BUF_SYNC_RW). Does nothing to an uncached buffer.
 */
static inline int rcar_heap_begin(int fd, __u64 access)
{
	return rcar_heap_sync(fd, DMA_BUF_SYNC_START | access);
}

static inline int rcar_heap_end(int fd, __u64 access)
{
	return rcar_heap_sync(fd, DMA_BUF_SYNC_END | access);
}

/*
 * mmngr_flush(), of the whole buffer. Writes back what the CPU wrote, and invalidates
 * then: programs call it after they have filled a buffer, and also after a device has.
 */
static inline int rcar_heap_flush(int id, size_t offset, size_t len)
{
	int ret = rcar_heap_end(id, DMA_BUF_SYNC_WRITE);

	(void)offset;
	(void)len;

	return ret ? ret : rcar_heap_begin(id, DMA_BUF_SYNC_READ);
}

/* mmngr_inval(), of the whole buffer. Drops what the CPU wrote and did not flush. */
static inline int rcar_heap_inval(int id, size_t offset, size_t len)
{
	(void)offset;
	(void)len;

	return rcar_heap_begin(id, DMA_BUF_SYNC_READ);
}

#endif /* MMNGR_TO_DMA_HEAP_H */
