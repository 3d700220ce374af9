// SPDX-License-Identifier: MIT
/* A table of functions. */
#include "mmngr_user_public.h"

struct allocator {
	int (*release)(MMNGR_ID id);
};

extern const struct allocator allocator;

const struct allocator allocator = {
	.release = mmngr_free_in_user_ext,
};
