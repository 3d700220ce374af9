/* SPDX-License-Identifier: MIT */
/*
 * As much of libmmngr as the programs here are written for: its names, types and
 * values. What it does is in libmmngr.c.
 */
#ifndef __MMNGR_USER_PUBLIC_H__
#define __MMNGR_USER_PUBLIC_H__

#include <stddef.h>

enum {
	MM_KERNELHEAP = 0,
	MM_CARVEOUT = 1,
	MM_CARVEOUT_SSP = 3,
	MM_CARVEOUT_LOSSY = 4,	/* and MV on Gen2 */
	MM_KERNELHEAP_CACHED = 5,

	MMNGR_VA_SUPPORT = MM_KERNELHEAP,
	MMNGR_VA_SUPPORT_CACHED = MM_KERNELHEAP_CACHED,
	MMNGR_PA_SUPPORT = MM_CARVEOUT,
	MMNGR_PA_SUPPORT_SSP = MM_CARVEOUT_SSP,
	MMNGR_PA_SUPPORT_LOSSY = MM_CARVEOUT_LOSSY,
	MMNGR_PA_SUPPORT_MV = 4,
};

enum {
	MM_FUNC_LOSSY_ENABLE = 1,
	MM_FUNC_TYPE_LOSSY_AREA = 1,
	MM_FUNC_FMT_LOSSY_ARGB8888 = 3,
};

#ifndef R_MM_OK
#define R_MM_OK		0
#define R_MM_FATAL	-1
#define R_MM_SEQE	-2
#define R_MM_PARE	-3
#define R_MM_NOMEM	-4
#endif

typedef int MMNGR_ID;

struct MM_FUNC {
	unsigned int func, type, attr, *conf;
};

int mmngr_alloc_in_user_ext(MMNGR_ID *id, size_t size, unsigned int *hard,
			    void **addr, unsigned int flag, void *param);
int mmngr_alloc_in_user(MMNGR_ID *id, unsigned long size, unsigned long *phy,
			unsigned long *hard, unsigned long *addr,
			unsigned long flag);
int mmngr_free_in_user_ext(MMNGR_ID id);
int mmngr_free_in_user(MMNGR_ID id);

int mmngr_share_in_user_ext(MMNGR_ID *id, size_t size, unsigned int hard,
			    void **addr, void *param);
int mmngr_share_in_user(MMNGR_ID *id, unsigned long size, unsigned long hard,
			unsigned long *addr);
int mmngr_release_in_user_ext(MMNGR_ID id);
int mmngr_release_in_user(MMNGR_ID id);

#define mmngr_debug_map_va_ext mmngr_share_in_user_ext
#define mmngr_debug_map_va mmngr_share_in_user
#define mmngr_debug_unmap_va_ext mmngr_release_in_user_ext
#define mmngr_debug_unmap_va mmngr_release_in_user

int mmngr_flush(MMNGR_ID id, size_t offset, size_t len);
int mmngr_inval(MMNGR_ID id, size_t offset, size_t len);

#endif
