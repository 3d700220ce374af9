// SPDX-License-Identifier: MIT
/* A macro calls, and whoever uses the macro has the address. */
#include "mmngr_user_public.h"

#define ALLOC(id, size, hard, virt) \
	mmngr_alloc_in_user_ext(&(id), size, &(hard), &(virt), \
				MMNGR_VA_SUPPORT, NULL)

int submit(unsigned int addr);
int run(size_t size);

int run(size_t size)
{
	unsigned int hard;
	MMNGR_ID id;
	void *virt;

	if (ALLOC(id, size, hard, virt))
		return -1;

	return submit(hard);
}
