// SPDX-License-Identifier: MIT
/* The address is that of the buffer on one path, and that of a codec's on another. */
#include "mmngr_user_public.h"
#include "mmngr_buf_user_public.h"

unsigned int codec_address(void);
int export_later(int external, size_t size, int *fd);
int export_either(int external, size_t size, int *fd);
int share_one_of(int first, size_t size, unsigned long *map);

int export_later(int external, size_t size, int *fd)
{
	unsigned int hard;
	MMNGR_ID id;
	void *virt;
	int x;

	if (mmngr_alloc_in_user_ext(&id, size, &hard, &virt, MMNGR_VA_SUPPORT, NULL))
		return -1;
	if (external)
		hard = codec_address();

	return mmngr_export_start_in_user_ext(&x, size, hard, fd, NULL);
}

int export_either(int external, size_t size, int *fd)
{
	unsigned int hard;
	MMNGR_ID id = 0;
	void *virt;
	int x;

	if (external)
		hard = codec_address();
	else if (mmngr_alloc_in_user_ext(&id, size, &hard, &virt, MMNGR_VA_SUPPORT, NULL))
		return -1;

	return mmngr_export_start_in_user_ext(&x, size, hard, fd, NULL);
}

int share_one_of(int first, size_t size, unsigned long *map)
{
	unsigned long phys, hard, virt;
	MMNGR_ID a = 0, b = 0;
	int x;

	if (first)
		mmngr_alloc_in_user(&a, size, &phys, &hard, &virt, MMNGR_VA_SUPPORT);
	else
		mmngr_alloc_in_user(&b, size, &phys, &hard, &virt, MMNGR_VA_SUPPORT);

	return mmngr_share_in_user(&x, size, hard, map);
}
