// SPDX-License-Identifier: MIT
/* One variable for the ids of two buffers: it is not that of the address any more. */
#include "mmngr_user_public.h"
#include "mmngr_buf_user_public.h"

int export_planes(MMNGR_ID ids[2], int fds[2], size_t size);
int export_after(MMNGR_ID other, size_t size, int *fd);
int export_twice(size_t size, int fds[2]);

int export_planes(MMNGR_ID ids[2], int fds[2], size_t size)
{
	unsigned int hard_y, hard_c;
	MMNGR_ID id;
	void *virt;
	int x[2];

	if (mmngr_alloc_in_user_ext(&id, size, &hard_y, &virt, MMNGR_VA_SUPPORT, NULL))
		return -1;
	ids[0] = id;
	if (mmngr_alloc_in_user_ext(&id, size, &hard_c, &virt, MMNGR_VA_SUPPORT, NULL))
		return -1;
	ids[1] = id;

	mmngr_export_start_in_user_ext(&x[1], size, hard_c, &fds[1], NULL);
	return mmngr_export_start_in_user_ext(&x[0], size, hard_y, &fds[0], NULL);
}

int export_after(MMNGR_ID other, size_t size, int *fd)
{
	unsigned int hard;
	MMNGR_ID id;
	void *virt;
	int x;

	if (mmngr_alloc_in_user_ext(&id, size, &hard, &virt, MMNGR_VA_SUPPORT, NULL))
		return -1;
	if (other)
		id = other;

	return mmngr_export_start_in_user_ext(&x, size, hard, fd, NULL);
}

int export_twice(size_t size, int fds[2])
{
	unsigned int hard;
	MMNGR_ID id;
	void *virt;

	if (mmngr_alloc_in_user_ext(&id, size, &hard, &virt, MMNGR_VA_SUPPORT, NULL))
		return -1;
	mmngr_export_start_in_user_ext(&id, size, hard, &fds[0], NULL);

	return mmngr_export_start_in_user_ext(&id, size, hard, &fds[1], NULL);
}
