// SPDX-License-Identifier: MIT
/* The address is there until the function is called again. */
#include "mmngr_user_public.h"

int submit(unsigned int addr);
int again(void);

int again(void)
{
	static unsigned int hard;
	static MMNGR_ID id;
	static void *virt;

	if (id)
		return submit(hard);

	return mmngr_alloc_in_user_ext(&id, 4096, &hard, &virt,
				       MMNGR_VA_SUPPORT, NULL);
}
