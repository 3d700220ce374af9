// SPDX-License-Identifier: MIT
/* Addresses in an array, filled with one index and read with another. */
#include "mmngr_user_public.h"

#define COUNT 4

int submit(unsigned int first, unsigned int last);
int run(size_t size);

int run(size_t size)
{
	unsigned int hard[COUNT];
	MMNGR_ID id[COUNT];
	void *virt[COUNT];
	int i;

	for (i = 0; i < COUNT; i++)
		if (mmngr_alloc_in_user_ext(&id[i], size, &hard[i], &virt[i],
					    MMNGR_VA_SUPPORT, NULL) != R_MM_OK)
			return -1;

	return submit(hard[0], hard[COUNT - 1]);
}
