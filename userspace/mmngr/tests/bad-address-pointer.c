// SPDX-License-Identifier: MIT
/* The address goes where a pointer points: nobody knows who uses it. */
#include "mmngr_buf_user_public.h"

int plane_address(int fd, void **out, int *import_id);

int plane_address(int fd, void **out, int *import_id)
{
	size_t size;

	return mmngr_import_start_in_user_ext(import_id, &size,
					      (unsigned int *)out, fd, NULL);
}
