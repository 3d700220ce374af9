// SPDX-License-Identifier: MIT
/* An allocator of a media framework: Gen2 calls, results told apart by switch. */
#include <errno.h>
#include <stdlib.h>
#include <mmngr_user_public.h>
#include "check.h"

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

int main(void)
{
	int before = descriptors();
	struct block *block;
	unsigned long i;

	for (i = 1; i <= 3; i++) {
		block = block_new(i * 1000000);
		if (!block) {
			printf("block %lu: error %d\n", i, errno);
			continue;
		}
		fill((void *)block->virt, block->size, i);
		printf("block %lu: %08lx\n", i,
		       sum((void *)block->virt, block->size));
		block_free(block);
	}

	block = block_new(1UL << 31);
	printf("too large: %d, no memory: %d\n", !block, errno == ENOMEM);
	block = block_new(0);
	printf("empty: %d, bad: %d\n", !block, errno == EBADF);
	printf("descriptors left: %d\n", descriptors() - before);

	return 0;
}
