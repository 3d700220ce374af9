// SPDX-License-Identifier: MIT
/* Output buffers of a decoder: carve-out, no mapping, only the file descriptor used. */
#include "mmngr_user_public.h"
#include "mmngr_buf_user_public.h"

struct picture {
	MMNGR_ID mem_id;
	int dmabuf_id;
	int dmabuf_fd;
	unsigned int hard_addr;
};

int picture_new(struct picture *out, size_t size);
void picture_free(struct picture *picture);

int picture_new(struct picture *out, size_t size)
{
	struct picture mbuf;
	void *dummy;
	int ret;

	ret = mmngr_alloc_in_user_ext(&mbuf.mem_id, size, &mbuf.hard_addr,
				      &dummy, MMNGR_PA_SUPPORT, NULL);
	if (ret)
		return ret;

	ret = mmngr_export_start_in_user_ext(&mbuf.dmabuf_id, size,
					     mbuf.hard_addr, &mbuf.dmabuf_fd,
					     NULL);
	if (ret) {
		mmngr_free_in_user_ext(mbuf.mem_id);
		return ret;
	}

	*out = mbuf;

	return 0;
}

void picture_free(struct picture *picture)
{
	mmngr_export_end_in_user_ext(picture->dmabuf_id);
	mmngr_free_in_user_ext(picture->mem_id);
}
