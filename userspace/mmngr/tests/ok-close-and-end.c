// SPDX-License-Identifier: MIT
/*
 * Who is given the dma-buf closes it, the exporter ends the export later. By then the
 * number may be another file's.
 */
#include <unistd.h>
#include "mmngr_user_public.h"
#include "mmngr_buf_user_public.h"
#include "check.h"

int main(void)
{
	int before = descriptors(), fd, xid;
	unsigned int hard;
	MMNGR_ID id;
	void *virt;

	if (mmngr_alloc_in_user_ext(&id, 20000, &hard, &virt,
				    MMNGR_VA_SUPPORT, NULL) != R_MM_OK)
		return 1;

	if (mmngr_export_start_in_user_ext(&xid, 20000, hard, &fd, NULL) !=
	    R_MM_OK)
		return 1;
	fill(virt, 20000, 5);
	printf("contents: %08lx\n", device_reads(fd, 20000));
	printf("close: %d\n", close(fd));
	printf("end: %d\n", mmngr_export_end_in_user_ext(xid));

	if (mmngr_export_start_in_user_ext(&xid, 20000, hard, &fd, NULL) !=
	    R_MM_OK)
		return 1;
	printf("end: %d\n", mmngr_export_end_in_user_ext(xid));
	printf("closed: %d\n", close(fd) < 0);

	printf("free: %d\n", mmngr_free_in_user_ext(id));
	printf("descriptors left: %d\n", descriptors() - before);

	return 0;
}
