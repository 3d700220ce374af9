// SPDX-License-Identifier: MIT
/* The Gen2 calls of both libraries, each once. */
#include <string.h>
#include "mmngr_user_public.h"
#include "mmngr_buf_user_public.h"
#include "check.h"

int gen2(unsigned long size);

int gen2(unsigned long size)
{
	MMNGR_ID id, ids;
	int export_id, import_id, fd;
	unsigned long phy, hard, virt, shared, bytes;
	unsigned long imported;

	if (mmngr_alloc_in_user(&id, size, &phy, &hard, &virt,
				MM_CARVEOUT) != R_MM_OK)
		return -1;

	if (mmngr_debug_map_va(&ids, size, hard, &shared) == R_MM_OK) {
		printf("mapped once: %d\n", !virt);
		fill((void *)shared, size, 5);
		mmngr_debug_unmap_va(ids);
	}

	if (mmngr_export_start_in_user(&export_id, size, hard, &fd) != R_MM_OK) {
		mmngr_free_in_user(id);
		return -1;
	}

	if (mmngr_import_start_in_user(&import_id, &bytes, &imported, fd) ==
	    R_MM_OK) {
		if (mmngr_share_in_user(&ids, bytes, imported, &shared) ==
		    R_MM_OK) {
			printf("imported: %08lx\n", sum((void *)shared, size));
			mmngr_release_in_user(ids);
		}
		mmngr_import_end_in_user(import_id);
	}

	mmngr_export_end_in_user(export_id);

	return mmngr_free_in_user(id);
}

int main(void)
{
	int before = descriptors();

	printf("result: %d\n", gen2(12288));
	printf("descriptors left: %d\n", descriptors() - before);
	printf("too large: %d\n", gen2(1UL << 31));
	printf("empty: %d\n", gen2(0));

	return 0;
}
