// SPDX-License-Identifier: MIT
/* Memory whose reads the bus decompresses. */
#include "mmngr_user_public.h"

int run(size_t size);

int run(size_t size)
{
	struct MM_FUNC func;
	unsigned int conf, hard;
	MMNGR_ID id;
	void *virt;

	func.func = MM_FUNC_LOSSY_ENABLE;
	func.type = MM_FUNC_TYPE_LOSSY_AREA;
	func.attr = MM_FUNC_FMT_LOSSY_ARGB8888;
	func.conf = &conf;

	if (mmngr_alloc_in_user_ext(&id, size, &hard, &virt,
				    MMNGR_PA_SUPPORT_LOSSY, &func) != R_MM_OK)
		return -1;

	return mmngr_free_in_user_ext(id);
}
