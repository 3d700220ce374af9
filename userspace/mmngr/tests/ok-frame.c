// SPDX-License-Identifier: MIT
/* One frame, as a test program of a driver has it: allocate, fill, free. */
#include <stdio.h>
#include <string.h>
#include "mmngr_user_public.h"

int main(void)
{
	size_t size = 1920 * 1080 * 2;
	MMNGR_ID id;
	unsigned int hard;
	void *virt;
	int ret;

	ret = mmngr_alloc_in_user_ext(&id, size, &hard, &virt,
				      MMNGR_VA_SUPPORT, NULL);
	if (ret != R_MM_OK) {
		fprintf(stderr, "no frame: %d\n", ret);
		return 1;
	}

	memset(virt, 0x80, size);

	return mmngr_free_in_user_ext(id) == R_MM_OK ? 0 : 1;
}
