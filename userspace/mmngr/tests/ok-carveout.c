// SPDX-License-Identifier: MIT
/* Output buffers of a decoder: carve-out, no mapping, only the file descriptor used. */
#include "mmngr_user_public.h"
#include "mmngr_buf_user_public.h"
#include "check.h"

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

int main(void)
{
	int before = descriptors();
	struct picture picture[2];
	size_t size = 1920 * 1088 * 3 / 2;
	int i;

	for (i = 0; i < 2; i++) {
		if (picture_new(&picture[i], size))
			return 1;
		device_writes(picture[i].dmabuf_fd, size, i);
	}
	for (i = 0; i < 2; i++) {
		printf("picture %d: %08lx\n", i,
		       device_reads(picture[i].dmabuf_fd, size));
		picture_free(&picture[i]);
	}
	printf("descriptors left: %d\n", descriptors() - before);
	printf("too large: %d\n", picture_new(&picture[0], (size_t)1 << 31));

	return 0;
}
