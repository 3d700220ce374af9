// SPDX-License-Identifier: MIT
/* The second carve-out of Gen2. */
#include "mmngr_user_public.h"

int run(unsigned long size);

int run(unsigned long size)
{
	unsigned long phy, hard, virt;
	MMNGR_ID id;

	if (mmngr_alloc_in_user(&id, size, &phy, &hard, &virt,
				MMNGR_PA_SUPPORT_MV) != R_MM_OK)
		return -1;

	return mmngr_free_in_user(id);
}
