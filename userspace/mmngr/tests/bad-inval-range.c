// SPDX-License-Identifier: MIT
/* Invalidates the second half, while the first may hold what the CPU wrote. */
#include "mmngr_user_public.h"

int second_half(MMNGR_ID id, size_t size);

int second_half(MMNGR_ID id, size_t size)
{
	return mmngr_inval(id, size / 2, size / 2);
}
