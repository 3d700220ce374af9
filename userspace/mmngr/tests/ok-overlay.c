// SPDX-License-Identifier: MIT
/* Cached by the kernel's name of the flag, and never synchronised. */
#include <mmngr_user_public.h>
#include "check.h"

int main(void)
{
	unsigned long phy, hard, virt;
	MMNGR_ID id;

	if (mmngr_alloc_in_user(&(id), 8192, &(phy), &(hard), &(virt),
				MM_KERNELHEAP_CACHED) != R_MM_OK)
		return 1;

	fill((void *)virt, 8192, 44);
	printf("contents: %08lx\n", sum((void *)virt, 8192));
	printf("free: %d\n", mmngr_free_in_user(id));

	return 0;
}
