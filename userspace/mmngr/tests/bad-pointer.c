// SPDX-License-Identifier: MIT
/* A table of functions, for a program that can use several allocators. */
#include "mmngr_user_public.h"
#include "mmngr_buf_user_public.h"

typedef void (*function)(void);

extern const function functions[];

const function functions[] = {
	(function)mmngr_alloc_in_user_ext,
	(function)mmngr_alloc_in_user,
	(function)mmngr_free_in_user_ext,
	(function)mmngr_free_in_user,
	(function)mmngr_share_in_user_ext,
	(function)mmngr_share_in_user,
	(function)mmngr_release_in_user_ext,
	(function)mmngr_release_in_user,
	(function)mmngr_export_start_in_user_ext,
	(function)mmngr_export_start_in_user,
	(function)mmngr_export_end_in_user_ext,
	(function)mmngr_export_end_in_user,
	(function)mmngr_import_start_in_user_ext,
	(function)mmngr_import_start_in_user,
	(function)mmngr_import_end_in_user_ext,
	(function)mmngr_import_end_in_user,
	(function)mmngr_flush,
	(function)mmngr_inval,
};
