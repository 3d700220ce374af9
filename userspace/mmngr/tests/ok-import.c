// SPDX-License-Identifier: MIT
/* Maps a dma-buf that somebody else made, by way of its address. */
#include <stdlib.h>
#include <string.h>
#include "mmngr_user_public.h"
#include "mmngr_buf_user_public.h"

int dump(int fd, void *to, size_t max);

int dump(int fd, void *to, size_t max)
{
	int import_id;
	MMNGR_ID map_id;
	size_t size;
	unsigned int hard;
	void *virt;

	if (mmngr_import_start_in_user_ext(&import_id, &size, &hard, fd, NULL) !=
	    R_MM_OK)
		return -1;

	if (mmngr_share_in_user_ext(&map_id, size, hard, &virt, NULL) !=
	    R_MM_OK) {
		mmngr_import_end_in_user_ext(import_id);
		return -1;
	}

	memcpy(to, virt, size < max ? size : max);

	mmngr_release_in_user_ext(map_id);
	mmngr_import_end_in_user_ext(import_id);

	return 0;
}
