// SPDX-License-Identifier: MIT
/* Asks for cached memory and never flushes it: must not stay cached. */
#include <string.h>
#include "mmngr_user_public.h"
#include "mmngr_buf_user_public.h"
#include "check.h"

static unsigned char pixels[128 * 128 * 4];

int logo(const void *pixels, size_t size);

int logo(const void *pixels, size_t size)
{
	MMNGR_ID id;
	int export_id, fd;
	unsigned int hard;
	void *virt;

	if (R_MM_OK != mmngr_alloc_in_user_ext(&id, size, &hard, &virt,
					       MMNGR_VA_SUPPORT_CACHED, NULL))
		return -1;

	memcpy(virt, pixels, size);
	if (mmngr_export_start_in_user_ext(&export_id, size, hard, &fd, NULL) !=
	    R_MM_OK || fd < 0) {
		mmngr_free_in_user_ext(id);
		return -1;
	}

	return fd;
}

int main(void)
{
	int fd;

	fill(pixels, sizeof(pixels), 3);
	fd = logo(pixels, sizeof(pixels));
	printf("shown: %08lx\n", device_reads(fd, sizeof(pixels)));

	return 0;
}
