// SPDX-License-Identifier: MIT
/* The physical address of the Gen2 call, which libmmngr for Gen3 sets to -1. */
#include <stdio.h>
#include "mmngr_user_public.h"

int run(unsigned long size);

int run(unsigned long size)
{
	unsigned long phy_addr, hard_addr, virt_addr;
	MMNGR_ID id;

	if (mmngr_alloc_in_user(&id, size, &phy_addr, &hard_addr, &virt_addr,
				MMNGR_VA_SUPPORT) != R_MM_OK)
		return -1;

	printf("allocated at %08lx\n", phy_addr);

	return mmngr_free_in_user(id);
}
