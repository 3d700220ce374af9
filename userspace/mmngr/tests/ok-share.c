// SPDX-License-Identifier: MIT
/* Carve-out that the CPU writes through a second mapping. */
#include <string.h>
#include "mmngr_user_public.h"
#include "check.h"

int white(size_t size);

int white(size_t size)
{
	MMNGR_ID id, ids;
	unsigned int hard_addr;
	void *virt, *shared;
	int ret;

	ret = mmngr_alloc_in_user_ext(&id, size, &hard_addr, &virt,
				      MMNGR_PA_SUPPORT, NULL);
	if (ret)
		return ret;

	ret = mmngr_debug_map_va_ext(&ids, size, hard_addr, &shared, NULL);
	if (ret)
		return ret;

	memset(shared, 0xff, size);
	printf("mapped once: %d, white: %08lx\n", !virt, sum(shared, size));

	ret = mmngr_debug_unmap_va_ext(ids);
	if (ret)
		return ret;

	return mmngr_free_in_user_ext(id);
}

int main(void)
{
	int before = descriptors();

	printf("result: %d\n", white(100000));
	printf("empty: %d\n", white(0));
	printf("too large: %d\n", white((size_t)1 << 31));
	printf("descriptors left: %d\n", descriptors() - before);

	return 0;
}
