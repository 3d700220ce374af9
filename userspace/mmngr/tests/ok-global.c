// SPDX-License-Identifier: MIT
/* Buffers in variables of the file, whose addresses nothing uses. */
#include <string.h>
#include "mmngr_user_public.h"
#include "check.h"

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

int main(void)
{
	int before = descriptors();

	printf("too large: %d\n", allocate_memory((size_t)1 << 31));
	printf("result: %d\n", allocate_memory(65536));
	fill(output_virt, 65536, 11);
	printf("filled: %08lx\n", sum(output_virt, 65536));
	free_memory();
	printf("descriptors left: %d\n", descriptors() - before);

	return 0;
}
