// SPDX-License-Identifier: MIT
/* Maps memory by an address that comes from elsewhere, another process say. */
#include "mmngr_user_public.h"

void *map_physical(unsigned int hard_addr, size_t size, MMNGR_ID *id);

void *map_physical(unsigned int hard_addr, size_t size, MMNGR_ID *id)
{
	void *virt;

	if (mmngr_share_in_user_ext(id, size, hard_addr, &virt, NULL) != R_MM_OK)
		return NULL;

	return virt;
}
