// SPDX-License-Identifier: MIT
/* One frame, as a test program of a driver has it: allocate, fill, free. */
#include <stdio.h>
#include <string.h>
#include "mmngr_user_public.h"
#include "check.h"

int main(void)
{
	size_t size = 1920 * 1080 * 2;
	int before = descriptors();
	MMNGR_ID id;
	unsigned int hard;
	void *virt;
	int ret;

	hard = 0;
	ret = mmngr_alloc_in_user_ext(&id, size, &hard, &virt,
				      MMNGR_VA_SUPPORT, NULL);
	if (ret != R_MM_OK) {
		fprintf(stderr, "no frame: %d\n", ret);
		return 1;
	}

	printf("zeroed: %08lx\n", sum(virt, size));
	memset(virt, 0x80, size);
	printf("filled: %08lx\n", sum(virt, size));

	ret = mmngr_free_in_user_ext(id) == R_MM_OK ? 0 : 1;
	printf("freed: %d, descriptors left: %d\n", ret, descriptors() - before);

	return ret;
}
