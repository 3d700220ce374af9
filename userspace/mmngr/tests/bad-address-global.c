// SPDX-License-Identifier: MIT
/* The address is in a variable of the file and used in another function. */
#include "mmngr_user_public.h"

static MMNGR_ID dl_fd;
static unsigned int dl_hard;
static void *dl_virt;

void write_register(unsigned int reg, unsigned int value);
int dl_alloc(void);
void dl_start(void);

int dl_alloc(void)
{
	return mmngr_alloc_in_user_ext(&dl_fd, 4096, &dl_hard, &dl_virt,
				       MMNGR_VA_SUPPORT, NULL);
}

void dl_start(void)
{
	write_register(0x100, dl_hard);
}
