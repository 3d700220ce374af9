// SPDX-License-Identifier: MIT
/* What each call returns when it fails. */
#include <stdlib.h>
#include "mmngr_user_public.h"
#include "mmngr_buf_user_public.h"
#include "check.h"

static void allocation(const char *what, size_t size, unsigned int flag)
{
	unsigned int hard;
	MMNGR_ID id;
	void *virt = NULL;
	int ret;

	ret = mmngr_alloc_in_user_ext(&id, size, &hard, &virt, flag, NULL);
	printf("%s: %d, mapped: %d\n", what, ret, virt != NULL);
	if (ret == R_MM_OK)
		mmngr_free_in_user_ext(id);
}

int main(void)
{
	int before = descriptors(), import_id = -1;
	unsigned int hard;
	MMNGR_ID id = 77, second;
	size_t size;
	void *virt;

	allocation("frame", 4096, MMNGR_VA_SUPPORT);
	allocation("carve-out", 4096, MMNGR_PA_SUPPORT);
	allocation("empty", 0, MMNGR_VA_SUPPORT);
	allocation("too large", (size_t)1 << 31, MMNGR_VA_SUPPORT);
	allocation("too large a carve-out", (size_t)1 << 31, MM_CARVEOUT);
	allocation("a flag that there is not", 4096, 2);
	printf("no id: %d\n", mmngr_alloc_in_user_ext(NULL, 4096, &hard, &virt,
						      MM_KERNELHEAP, NULL));
	printf("no pointer: %d\n", mmngr_alloc_in_user_ext(&id, 4096, &hard,
						NULL, MM_KERNELHEAP, NULL));
	printf("free of nothing: %d\n", mmngr_free_in_user_ext(-1));
	printf("release of nothing: %d\n", mmngr_release_in_user(-1));
	printf("inval of nothing: %d\n", mmngr_inval(-1, 0, 4096));
	printf("end of no export: %d\n", mmngr_export_end_in_user_ext(-1));
	printf("end of no import: %d\n", mmngr_import_end_in_user_ext(-1));
	printf("import of nothing: %d\n",
	       mmngr_import_start_in_user_ext(&import_id, &size, &hard, -1, NULL));
	printf("no size: %d\n",
	       mmngr_import_start_in_user_ext(&import_id, NULL, &hard, 0, NULL));

	if (mmngr_alloc_in_user_ext(&id, 4096, &hard, &virt, MM_KERNELHEAP,
				    NULL) != R_MM_OK) {
		printf("no buffer\n");
		return 0;
	}
	printf("map of nothing: %d\n",
	       mmngr_share_in_user_ext(&second, 0, hard, &virt, NULL));
	printf("export of nothing: %d\n",
	       mmngr_export_start_in_user_ext(&second, 0, hard, &import_id, NULL));
	printf("export to nowhere: %d\n",
	       mmngr_export_start_in_user_ext(&second, 4096, hard, NULL, NULL));
	printf("free: %d\n", mmngr_free_in_user_ext(id));
	printf("free again: %d\n", mmngr_free_in_user_ext(id));
	printf("descriptors left: %d\n", descriptors() - before);

	return 0;
}
