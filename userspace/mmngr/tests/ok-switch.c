// SPDX-License-Identifier: MIT
/* An allocator of a media framework: Gen2 calls, results told apart by switch. */
#include <errno.h>
#include <stdlib.h>
#include <mmngr_user_public.h>

struct block {
	MMNGR_ID id;
	unsigned long virt;
	unsigned long size;
};

struct block *block_new(unsigned long size);
void block_free(struct block *block);

struct block *block_new(unsigned long size)
{
	struct block *block = calloc(1, sizeof(*block));
	unsigned long phy, hard;

	if (!block)
		return NULL;

	switch (mmngr_alloc_in_user(&block->id, size, &phy, &hard, &block->virt,
				    MMNGR_VA_SUPPORT)) {
	case R_MM_OK:
		block->size = size;
		return block;
	case R_MM_NOMEM:
		errno = ENOMEM;
		break;
	default:
		errno = EBADF;
	}

	free(block);

	return NULL;
}

void block_free(struct block *block)
{
	mmngr_free_in_user(block->id);
	free(block);
}
