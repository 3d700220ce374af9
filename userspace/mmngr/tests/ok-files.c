// SPDX-License-Identifier: MIT
/*
 * A program of two files, the other is with-files.c: this one allocates cached buffers
 * and leaves it to the other to free and to flush them.
 */
#include "mmngr_user_public.h"
#include "mmngr_buf_user_public.h"
#include "check.h"

int buffer_done(MMNGR_ID id, size_t size);
int buffer_free(MMNGR_ID id);

int main(void)
{
	int before = descriptors(), fd, xid;
	unsigned int hard;
	MMNGR_ID id;
	void *virt;

	if (mmngr_alloc_in_user_ext(&id, 30000, &hard, &virt,
				    MMNGR_VA_SUPPORT_CACHED, NULL) != R_MM_OK)
		return 1;
	if (mmngr_export_start_in_user_ext(&xid, 30000, hard, &fd, NULL) !=
	    R_MM_OK)
		return 1;

	fill(virt, 30000, 31);
	printf("done: %d\n", buffer_done(id, 30000));
	printf("contents: %08lx\n", device_reads(fd, 30000));
	mmngr_export_end_in_user_ext(xid);
	printf("free: %d\n", buffer_free(id));
	printf("descriptors left: %d\n", descriptors() - before);

	return 0;
}
