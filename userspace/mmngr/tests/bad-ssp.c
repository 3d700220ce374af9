// SPDX-License-Identifier: MIT
/* The carve-out of the stream processor. */
#include "mmngr_user_public.h"

int run(size_t size);

int run(size_t size)
{
	unsigned int hard;
	MMNGR_ID id;
	void *virt;

	if (mmngr_alloc_in_user_ext(&id, size, &hard, &virt,
				    MMNGR_PA_SUPPORT_SSP, NULL) != R_MM_OK)
		return -1;

	return mmngr_free_in_user_ext(id);
}
