// SPDX-License-Identifier: MIT
/* A buffer and a dma-buf for each plane, in arrays; both generations' calls mixed. */
#include <stdint.h>
#include <stdio.h>
#include "mmngr_user_public.h"
#include "mmngr_buf_user_public.h"
#include "check.h"

#define MAX_PLANES 3

struct buffer {
	MMNGR_ID id[MAX_PLANES];
	int ext_id[MAX_PLANES];
	void *addr[MAX_PLANES];
};

int buffer_alloc(struct buffer *buffer, int *dmabuf_fd, int planes, int size);
void buffer_free(struct buffer *buffer);

int buffer_alloc(struct buffer *buffer, int *dmabuf_fd, int planes, int size)
{
	unsigned int hard_addr;
	int i, ret;

	for (i = 0; i < planes; i++) {
		ret = mmngr_alloc_in_user_ext(
					&buffer->id[i], size,
					&hard_addr,
					&buffer->addr[i],
					MMNGR_VA_SUPPORT, NULL);
		if (ret != R_MM_OK) {
			fprintf(stderr, "allocation failed: %d\n", ret);
			return -1;
		}
		ret = mmngr_export_start_in_user_ext(
					&buffer->ext_id[i], size,
					hard_addr,
					&dmabuf_fd[i], NULL);
		if (ret != R_MM_OK) {
			fprintf(stderr, "export failed: %d\n", ret);
			return -1;
		}
	}

	return 0;
}

void buffer_free(struct buffer *buffer)
{
	int i;

	for (i = 0; i < MAX_PLANES; i++) {
		if (buffer->id[i]) {
			mmngr_export_end_in_user_ext(buffer->ext_id[i]);
			mmngr_free_in_user(buffer->id[i]);
			buffer->ext_id[i] = 0;
			buffer->id[i] = 0;
		}
		buffer->addr[i] = NULL;
	}
}

int main(void)
{
	int before = descriptors(), fd[MAX_PLANES], i, size = 320 * 240;
	struct buffer buffer = { { 0 }, { 0 }, { NULL } };

	if (buffer_alloc(&buffer, fd, 2, size))
		return 1;
	for (i = 0; i < 2; i++)
		fill(buffer.addr[i], size, 7 + i);
	for (i = 0; i < 2; i++)
		printf("plane %d: %08lx\n", i, device_reads(fd[i], size));
	printf("third plane: %d\n", buffer.id[2]);

	buffer_free(&buffer);
	printf("descriptors left: %d\n", descriptors() - before);
	printf("empty: %d\n", buffer_alloc(&buffer, fd, 1, 0));

	return 0;
}
