// SPDX-License-Identifier: MIT
/* Takes the library if it is there. */
#include <dlfcn.h>
#include "mmngr_user_public.h"

int release(void *library, MMNGR_ID id);

int release(void *library, MMNGR_ID id)
{
	int (*call)(MMNGR_ID) = (int (*)(MMNGR_ID))dlsym(library, "mmngr_free_in_user_ext");

	return call ? call(id) : -1;
}
