// SPDX-License-Identifier: MIT
/* The address is kept in a structure and used in another function. */
#include "mmngr_user_public.h"

struct lut {
	MMNGR_ID id;
	unsigned int hard_addr;
	void *virt_addr;
};

void write_register(unsigned int reg, unsigned int value);
int lut_alloc(struct lut *lut, size_t size);
void lut_start(struct lut *lut);

int lut_alloc(struct lut *lut, size_t size)
{
	lut->hard_addr = 0;

	return mmngr_alloc_in_user_ext(&lut->id, size, &lut->hard_addr,
				       &lut->virt_addr, MMNGR_VA_SUPPORT, NULL);
}

void lut_start(struct lut *lut)
{
	write_register(0x100, lut->hard_addr);
}
