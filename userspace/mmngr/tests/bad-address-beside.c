// SPDX-License-Identifier: MIT
/* The address is used in the condition that also has the call. */
#include "mmngr_user_public.h"

int submit(unsigned int addr);
int run(size_t size);

int run(size_t size)
{
	unsigned int hard, second;
	MMNGR_ID id;
	void *virt;

	if (mmngr_alloc_in_user_ext(&id, size, &hard, &virt, MMNGR_VA_SUPPORT,
				    NULL) == R_MM_OK && submit(hard))
		return mmngr_free_in_user_ext(id);

	if (mmngr_alloc_in_user_ext(&id, size, &hard, &virt, MMNGR_VA_SUPPORT,
				    NULL) != R_MM_OK || submit(hard))
		return -1;

	return mmngr_alloc_in_user_ext(&id, size, &second, &virt,
			MMNGR_VA_SUPPORT, NULL) ? -1 : (int)second;
}
