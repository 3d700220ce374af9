// SPDX-License-Identifier: MIT
/* Makes a dma-buf of memory that a codec library allocated. */
#include <mmngr_buf_user_public.h>

struct codec_buffer {
	unsigned int hwip_addr;
	size_t size;
};

int codec_export(struct codec_buffer *buffer, int *id);

int codec_export(struct codec_buffer *buffer, int *id)
{
	int fd;

	if (mmngr_export_start_in_user_ext(id, buffer->size, buffer->hwip_addr,
					   &fd, NULL) != R_MM_OK)
		return -1;

	return fd;
}
