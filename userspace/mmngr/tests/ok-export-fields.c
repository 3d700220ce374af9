// SPDX-License-Identifier: MIT
/*
 * Buffers in an array of structures, allocated in one function, exported and freed in
 * others: the address gets from one to the other in a member.
 */
#include <stdlib.h>
#include "mmngr_user_public.h"
#include "mmngr_buf_user_public.h"
#include "check.h"

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
int frame_export(struct frame *frame, unsigned long size);
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

int frame_export(struct frame *frame, unsigned long size)
{
	return mmngr_export_start_in_user(&frame->dmabuf_id, size,
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

int main(void)
{
	int before = descriptors();
	struct frame *frames;
	unsigned int i;

	frames = frames_alloc(4, 320 * 240 * 4);
	if (!frames)
		return 1;

	for (i = 0; i < 4; i++) {
		if (frame_export(&frames[i], frames[i].size) != R_MM_OK)
			return 1;
		fill((void *)frames[i].virt_addr, frames[i].size, i);
	}
	for (i = 0; i < 4; i++)
		printf("frame %u: %08lx\n", i,
		       device_reads(frames[i].dmabuf_fd, frames[i].size));

	frames_free(frames, 4);
	printf("descriptors left: %d\n", descriptors() - before);
	printf("too large: %d\n", !frames_alloc(2, (size_t)1 << 31));
	frames = frames_alloc(1, 4096);
	if (!frames)
		return 1;
	printf("export of nothing: %d\n", frame_export(frames, 0));
	mmngr_free_in_user(frames->mmngr_id);
	free(frames);

	return 0;
}
