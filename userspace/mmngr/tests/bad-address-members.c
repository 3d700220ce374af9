// SPDX-License-Identifier: MIT
/* Addresses in an array that is a member, for one function to fill and another to use. */
#include "mmngr_user_public.h"

#define COUNT 4

struct ring {
	MMNGR_ID id[COUNT];
	unsigned int hard[COUNT];
	void *virt[COUNT];
};

int submit(unsigned int addr);
int ring_alloc(struct ring *ring, size_t size);
int ring_run(struct ring *ring, int i);

int ring_alloc(struct ring *ring, size_t size)
{
	int i;

	for (i = 0; i < COUNT; i++)
		if (mmngr_alloc_in_user_ext(&ring->id[i], size, &ring->hard[i],
					    &ring->virt[i], MMNGR_VA_SUPPORT,
					    NULL))
			return -1;

	return 0;
}

int ring_run(struct ring *ring, int i)
{
	return submit(ring->hard[i]);
}
