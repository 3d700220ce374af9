// SPDX-License-Identifier: MIT
/* The address goes to a device, past all drivers. */
#include "mmngr_user_public.h"

struct job {
	unsigned int addr;
};

int submit(const struct job *job);
int run(size_t size);

int run(size_t size)
{
	struct job job;
	MMNGR_ID id;
	unsigned int hard;
	void *virt;

	hard = 0;
	if (mmngr_alloc_in_user_ext(&id, size, &hard, &virt, MMNGR_VA_SUPPORT,
				    NULL) != R_MM_OK)
		return -1;

	job.addr = hard;
	submit(&job);

	return mmngr_free_in_user_ext(id);
}
