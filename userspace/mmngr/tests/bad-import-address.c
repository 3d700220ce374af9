// SPDX-License-Identifier: MIT
/* An encoder's input: the address of somebody else's dma-buf. */
#include "mmngr_user_public.h"
#include "mmngr_buf_user_public.h"

int encode(unsigned int y, unsigned int c);
int frame(int fd, unsigned int luma);

int frame(int fd, unsigned int luma)
{
	unsigned int phys;
	size_t size;
	int id, ret;

	ret = mmngr_import_start_in_user_ext(&id, &size, &phys, fd, NULL);
	if (ret != R_MM_OK)
		return -1;

	ret = encode(phys, phys + luma);
	mmngr_import_end_in_user_ext(id);

	return ret;
}
