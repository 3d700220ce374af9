// SPDX-License-Identifier: MIT
/*
 * Capture buffers of a camera program: cached, the id kept in a structure of another
 * type, the same variable used for the id of the export, results mostly ignored.
 */
#include <stdint.h>
#include <string.h>
#include "mmngr_user_public.h"
#include "mmngr_buf_user_public.h"
#include "check.h"

struct capture {
	uint32_t idx;
	int dbuf_fd;
	uint32_t size;
	void *mem;
};

int capture_alloc(struct capture *buffer, int size);
int capture_flush(uint32_t idx, uint32_t size);
int capture_read(struct capture *buffer);
void capture_free(struct capture *buffer);

int capture_alloc(struct capture *buffer, int size)
{
	MMNGR_ID id;
	uint32_t hard;
	void *virt;
	int fd;

	buffer->size = size;
	mmngr_alloc_in_user_ext(&id, buffer->size, &hard, &virt,
				MMNGR_VA_SUPPORT_CACHED, NULL);
	buffer->idx = id;
	buffer->mem = virt;
	if (!buffer->mem)
		return -1;
	memset(buffer->mem, 0, buffer->size);

	mmngr_export_start_in_user_ext(&id, buffer->size, hard, &fd, NULL);
	buffer->dbuf_fd = fd;

	return 0;
}

int capture_flush(uint32_t idx, uint32_t size)
{
	return mmngr_flush(idx, 0, size);
}

int capture_read(struct capture *buffer)
{
	if (mmngr_inval(buffer->idx, 0, buffer->size) < 0)
		return -1;

	return *(unsigned char *)buffer->mem;
}

void capture_free(struct capture *buffer)
{
	mmngr_free_in_user_ext(buffer->idx);
}

int main(void)
{
	struct capture buffer;
	int size = 640 * 480 * 2;

	if (capture_alloc(&buffer, size))
		return 1;

	printf("cleared: %08lx\n", device_reads(buffer.dbuf_fd, size));
	device_writes(buffer.dbuf_fd, size, 1);
	printf("first byte: %d\n", capture_read(&buffer));
	printf("captured: %08lx\n", sum(buffer.mem, size));
	fill(buffer.mem, size, 2);
	printf("flush: %d\n", capture_flush(buffer.idx, size));
	printf("written: %08lx\n", device_reads(buffer.dbuf_fd, size));
	capture_free(&buffer);
	printf("flush of nothing: %d\n", capture_flush(-1, size));

	return 0;
}
