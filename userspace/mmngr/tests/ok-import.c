// SPDX-License-Identifier: MIT
/* Maps a dma-buf that somebody else made, by way of its address. */
#include <stdlib.h>
#include <string.h>
#include "mmngr_user_public.h"
#include "mmngr_buf_user_public.h"
#include "check.h"

int dump(int fd, void *to, size_t max);
int somebody(size_t size);

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

int somebody(size_t size)
{
	int id, fd;
	unsigned int hard;
	void *virt;

	if (mmngr_alloc_in_user_ext(&id, size, &hard, &virt, MMNGR_VA_SUPPORT,
				    NULL) != R_MM_OK)
		return -1;
	fill(virt, size, 9);
	if (mmngr_export_start_in_user_ext(&id, size, hard, &fd, NULL) !=
	    R_MM_OK)
		return -1;

	return fd;
}

int main(void)
{
	static unsigned char copy[8192];
	int fd = somebody(sizeof(copy)), before = descriptors();

	printf("dump: %d\n", dump(fd, copy, sizeof(copy)));
	printf("contents: %08lx\n", sum(copy, sizeof(copy)));
	printf("descriptors left: %d\n", descriptors() - before);
	printf("dump of nothing: %d\n", dump(-1, copy, sizeof(copy)));

	return 0;
}
