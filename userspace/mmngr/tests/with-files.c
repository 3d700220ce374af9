// SPDX-License-Identifier: MIT
/* The other file of ok-files.c */
#include <mmngr_user_public.h>

int buffer_done(MMNGR_ID id, size_t size);
int buffer_free(MMNGR_ID id);

int buffer_done(MMNGR_ID id, size_t size)
{
	return mmngr_flush(id, 0, size);
}

int buffer_free(MMNGR_ID id)
{
	return mmngr_free_in_user_ext(id);
}
