// SPDX-License-Identifier: MIT
/* Buffers in variables of the file, whose addresses nothing uses. */
#include <string.h>
#include "mmngr_user_public.h"

static MMNGR_ID out_fd;
static unsigned int output_hard;
static void *output_virt;

int allocate_memory(size_t size);
void free_memory(void);

int allocate_memory(size_t size)
{
	int ercd;

	ercd = mmngr_alloc_in_user_ext(
		&out_fd, size, &output_hard, &output_virt, MM_KERNELHEAP, NULL);
	if (ercd)
		return ercd;
	memset(output_virt, 0, size);

	return 0;
}

void free_memory(void)
{
	mmngr_free_in_user_ext(out_fd);
}
