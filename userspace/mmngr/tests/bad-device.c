// SPDX-License-Identifier: MIT
/* Speaks to the driver without the library. */
#include <fcntl.h>
#include "mmngr_user_public.h"

int mmngr_open(void);
int mmngrbuf_open(void);

int mmngr_open(void)
{
	return open("/dev/rgnmm", O_RDWR);
}

int mmngrbuf_open(void)
{
	return open("/dev/rgnmmbuf", O_RDWR);
}
