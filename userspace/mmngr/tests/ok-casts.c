// SPDX-License-Identifier: MIT
/* Variables of other types than the functions have, and casts everywhere. */
#include <stdint.h>
#include <string.h>
#include "mmngr_user_public.h"
#include "mmngr_buf_user_public.h"
#include "check.h"

typedef int32_t handle;

int main(void)
{
	int before = descriptors(), phys = 0;
	handle id, xid;
	uint8_t *pixels;
	uint32_t size = 256 * 256;
	int fd, ret;

	if ((ret = mmngr_alloc_in_user_ext((MMNGR_ID *)&id, (size_t)size,
			(unsigned int *)&phys, (void **)&pixels,
			(unsigned int)MMNGR_VA_SUPPORT, (void *)0)) < 0)
		return -ret;

	memset(pixels, 0x10, size);
	ret = mmngr_export_start_in_user_ext((int *)&xid, (size_t)size,
			(unsigned int)phys, (int *)&fd, (void *)0);
	if (ret < 0)
		return -ret;

	printf("black: %08lx\n", device_reads(fd, size));
	(void)mmngr_export_end_in_user_ext((int)xid);
	(void)mmngr_free_in_user_ext((MMNGR_ID)id);
	printf("descriptors left: %d\n", descriptors() - before);

	return 0;
}
