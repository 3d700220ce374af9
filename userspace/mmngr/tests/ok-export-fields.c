// SPDX-License-Identifier: MIT
/*
 * Buffers in an array of structures, allocated in one function, exported and freed in
 * others: the address gets from one to the other in a member.
 */
#include <stdlib.h>
#include "mmngr_user_public.h"
#include "mmngr_buf_user_public.h"

struct frame {
	int mmngr_id;
	int dmabuf_id;
	int dmabuf_fd;
	size_t size;
	unsigned long phy_addr;
	unsigned long hard_addr;
	unsigned long virt_addr;
};

struct frame *frames_alloc(unsigned int count, size_t size);
int frame_export(struct frame *frame);
void frames_free(struct frame *p_bufs, unsigned int count);

struct frame *frames_alloc(unsigned int count, size_t size)
{
	struct frame *p_bufs = calloc(count, sizeof(*p_bufs));
	unsigned int index;

	if (!p_bufs)
		return NULL;

	for (index = 0; index < count; index++) {
		if (mmngr_alloc_in_user(&(p_bufs[index].mmngr_id), size,
					&(p_bufs[index].phy_addr),
					&(p_bufs[index].hard_addr),
					&(p_bufs[index].virt_addr),
					MMNGR_VA_SUPPORT) != R_MM_OK) {
			frames_free(p_bufs, index);
			return NULL;
		}
		p_bufs[index].size = size;
	}

	return p_bufs;
}

int frame_export(struct frame *frame)
{
	return mmngr_export_start_in_user(&frame->dmabuf_id, frame->size,
					  frame->hard_addr, &frame->dmabuf_fd);
}

void frames_free(struct frame *p_bufs, unsigned int count)
{
	unsigned int index;

	for (index = 0; index < count; index++) {
		mmngr_export_end_in_user(p_bufs[index].dmabuf_id);
		mmngr_free_in_user(p_bufs[index].mmngr_id);
	}
	free(p_bufs);
}
